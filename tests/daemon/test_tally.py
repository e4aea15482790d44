"""The numbers and lines of a running daemon."""

from __future__ import annotations

import pytest

from daemon.journal import tally
from daemon.journal.tally import TOLD_ALONE, Tally
from daemon.ledger import Move
from daemon.model import Fingerprint, Job, State


class Time:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(tally.time, "monotonic", lambda: self.now)  # type: ignore[attr-defined]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def lines_of(tally: Tally) -> list[str]:
    return [event.text for event in tally.events(each=False)]


def note(told: Tally, number: int, to: State = State.DONE, rule: str = "r", attempts: int | None = None) -> None:
    job = Job(number, rule, "/in", f"{number}.png", Fingerprint(1, 2, 3), State.RUNNING, "taken")
    told.note(job, Move(number, to, "because", attempts=attempts, output=f"/out/{number}.png"))


def test_few_are_told_one_by_one_and_once(time: Time) -> None:
    told = Tally()
    for number in range(TOLD_ALONE):
        note(told, number)
    assert lines_of(told)[0] == "r: 0.png → /out/0.png"
    assert lines_of(told) == []


def test_many_are_told_together_by_rule(time: Time) -> None:
    told = Tally()
    lines_of(told)
    time.now += 1
    for number in range(20):
        note(told, number, rule="p" if number % 4 else "q")
    lines = lines_of(told)
    assert len(lines) == 2 and any(line.startswith("p: 15 pictures done") for line in lines)


def test_failures_are_never_told_together(time: Time) -> None:
    told = Tally()
    for number in range(20):
        note(told, number)
        note(told, 100 + number, State.FAILED)
    assert sum("failed: because" in line for line in lines_of(told)) == 20


def test_waiting_is_told_and_is_progress_only_when_it_was_tried(time: Time) -> None:
    told = Tally()
    begun = told.progressed
    time.now += 5
    note(told, 1, State.WAITING)
    assert lines_of(told) == [] and told.progressed == begun
    note(told, 2, State.WAITING, attempts=1)
    assert lines_of(told) == ["r: 2.png: waiting: because"] and told.progressed == time.now


def test_a_try_to_come_is_no_standstill(monkeypatch: pytest.MonkeyPatch, time: Time) -> None:
    monkeypatch.setattr(tally.time, "time", lambda: 5000.0)  # type: ignore[attr-defined]
    told = Tally()
    job = Job(1, "r", "/in", "1.png", Fingerprint(1, 2, 3), State.RUNNING, "taken")
    told.note(job, Move(1, State.WAITING, "because", attempts=1, not_before=5008.0))
    assert told.progressed == time.now + 8
    told.note(job, Move(2, State.DONE, "because"))
    assert told.progressed == time.now + 8, "another job's end changes nothing about the try to come"


def test_rate_is_of_the_last_seconds(time: Time) -> None:
    told = Tally()
    assert told.rate() == 0.0
    lines_of(told)
    for _ in range(5):
        time.now += 1
        for number in range(10):
            note(told, number)
        lines_of(told)
    assert told.rate() == pytest.approx(10.0)
    time.now += 60
    assert told.rate() == 0.0
    assert told.counts[State.DONE] == 50
