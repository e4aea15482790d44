"""How a file becomes a job: one round at a time, on real folders and a real ledger."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import BlockedError
from daemon.intake import intake as place
from daemon.intake.intake import Intake
from daemon.ledger import Ledger
from daemon.model import Config, Rule, State
from daemon.publishing.template import Template
from daemon.rulebook import Rulebook
from kernels.chain import parse_chain
from tests.box import wait_until

CHAIN = parse_chain([{"mosaic": {"block": 16}}])


class Entrance:
    """An intake over one or two rules, and what it told."""

    def __init__(self, folder: Path, ledger: Ledger, *rules: Rule, settle: float = 0.2) -> None:
        self.folder = folder
        self.ledger = ledger
        self.complaints = list[str]()
        self.arrivals = 0
        config = Config(folder / "config.yaml", folder / "var", rules, settle=settle, rescan=300)
        self.intake = Intake(Rulebook(config), ledger, complain=self.complaints.append, arrived=self._arrived)

    def _arrived(self) -> None:
        self.arrivals += 1

    def drop(self, name: str, age: float = 60.0, content: bytes = b"x") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # The kernel sets the time of change itself, so a file that is to be old needs a clock that is ahead.
        if age:
            os.utime(path, (time.time() - age, time.time() - age))
        return path

    def names(self, state: State = State.WAITING) -> list[str]:
        return sorted(job.relative for job in self.ledger.jobs(state))

    def settle(self) -> None:
        def settled() -> bool:
            self.intake.step()
            return self.intake.settled

        wait_until(settled)


def rule(folder: Path, name: str = "r", watch: str = "in", **more: object) -> Rule:
    (folder / watch).mkdir(exist_ok=True)
    output = Template.parse("out/{stem}.{ext}", folder)
    return Rule(name, (folder / watch,), CHAIN, output, **more)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db")) as opened:
        yield opened


def test_found_once(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.drop("in/a.png")
    door.drop("in/deep/b.jpg")
    door.settle()
    door.intake.hints.folder(str(tmp_path / "in"))
    door.settle()
    assert door.names() == ["a.png", "deep/b.jpg"] and door.complaints == []


def test_growing_file_waits(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path), settle=0.3)
    path = door.drop("in/a.png", age=0)
    for length in range(10):
        path.write_bytes(b"x" * length)
        door.intake.hints.file(str(tmp_path / "in"), "a.png", closed=False)
        door.intake.step()
        assert door.names() == [] and not door.intake.settled
        time.sleep(0.05)  # a slow writer is the point
    door.settle()
    (job,) = ledger.jobs()
    assert job.fingerprint.size == 9


def test_gone_before_it_was_still(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.drop("in/a.png", age=0)
    door.intake.step()
    (tmp_path / "in/a.png").unlink()
    door.intake.hints.file(str(tmp_path / "in"), "a.png", closed=False)
    door.settle()
    assert door.names() == []


def test_times_in_the_future_do_not_hold_a_file_for_ever(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.drop("in/a.png", age=-86400)
    door.settle()
    assert door.names() == ["a.png"]


def test_two_rules_on_one_folder(tmp_path: Path, ledger: Ledger) -> None:
    rules = rule(tmp_path, "p", match=("*.png",)), rule(tmp_path, "all", recursive=False)
    door = Entrance(tmp_path, ledger, *rules)
    for name in ("in/a.png", "in/b.jpg", "in/deep/c.png"):
        door.drop(name)
    door.settle()
    found = sorted((job.rule, job.relative) for job in ledger.jobs())
    assert found == [("all", "a.png"), ("all", "b.jpg"), ("p", "a.png"), ("p", "deep/c.png")]


def test_flood_loses_nothing(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.settle()
    door.intake.hints._flood = 20
    for number in range(200):
        door.drop(f"in/{number}.png", age=0)
        door.intake.hints.file(str(tmp_path / "in"), f"{number}.png", closed=True)
    door.settle()
    assert len(door.names()) == 200


def test_hint_of_a_folder_nobody_watches(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.drop("old/a.png")
    door.intake.hints.file(str(tmp_path / "old"), "a.png", closed=True)
    door.settle()
    assert door.names() == []


def test_folder_that_is_not_there_is_told_once(tmp_path: Path, ledger: Ledger) -> None:
    door = Entrance(tmp_path, ledger, rule(tmp_path), rule(tmp_path, "other", "here"))
    (tmp_path / "in").rmdir()
    door.drop("here/a.png")
    for _ in range(3):
        door.intake.hints.folder(str(tmp_path / "in"))
        door.intake.step()
    door.settle()
    assert door.names() == ["a.png"] and len(door.complaints) == 1 and "until it can be read" in door.complaints[0]
    (tmp_path / "in").mkdir()
    door.intake.hints.folder(str(tmp_path / "in"))
    door.intake.step()
    assert door.complaints[1:] == [f"{tmp_path}/in: can be read again"]


def test_blocked_ledger_loses_nothing(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found while the ledger could not be written is found again."""
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.drop("in/a.png")
    real, refusals = ledger.add, list[int]()

    def add(arrivals: object) -> None:
        if not refusals:
            refusals.append(1)
            raise BlockedError("ledger.db: full; free space")
        real(arrivals)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "add", add)
    stop = threading.Event()
    thread = threading.Thread(target=door.intake.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: door.names() == ["a.png"])
    finally:
        stop.set()
        door.intake.wake()
        thread.join(10)
    assert refusals == [1] and door.complaints == ["ledger.db: full; free space"]


def test_folder_without_events_is_scanned_often(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share, on which others write without our kernel knowing."""
    monkeypatch.setattr(place, "SUPERVISE", 0.05)
    monkeypatch.setattr(place, "events_arrive", lambda root: False)
    door = Entrance(tmp_path, ledger, rule(tmp_path))
    door.settle()
    door.drop("in/a.png", age=0)

    def found() -> bool:
        door.intake.step()
        return door.names() == ["a.png"]

    wait_until(found)
