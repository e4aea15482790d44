"""What becomes of a job that met an error, and when a blocked rule is tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.errors import (
    BlockedError,
    BrokenPicture,
    DarkroomError,
    OutputRefused,
    PermanentError,
    SourceChanged,
    SourceGone,
    StillWritten,
    TransientError,
    reading_failed,
    writing_failed,
)
from daemon.ledger import NEXT
from daemon.model import Fingerprint, Job, State
from daemon.pipeline.verdict import LOOK_AGAIN, MAX_BACKOFF, MAX_PAUSE, Blockades, verdict

JOB = Job(7, "r", "/in", "a.png", Fingerprint(1, 2, 3), State.RUNNING, "taken")
NOW = 1000.0


@pytest.mark.parametrize("error", [SourceGone("gone"), SourceChanged("changed")])
def test_nothing_lost_by_us_is_skipped(error: DarkroomError) -> None:
    assert verdict(JOB, error, 3, NOW).to is State.SKIPPED


@pytest.mark.parametrize("error", [PermanentError("x"), BrokenPicture("x"), OutputRefused("x"), DarkroomError("x")])
def test_what_would_fail_again_fails_at_once(error: DarkroomError) -> None:
    move = verdict(JOB, error, 3, NOW)
    assert (move.to, move.reason, move.attempts) == (State.FAILED, "x", None)


def test_waiting_for_others_counts_no_retry() -> None:
    new = replace(JOB, created=NOW)
    written, blocked = verdict(new, StillWritten("open"), 0, NOW), verdict(JOB, BlockedError("full"), 0, NOW, pause=4)
    assert (written.to, written.attempts, written.not_before) == (State.WAITING, None, NOW + LOOK_AGAIN)
    assert (blocked.to, blocked.attempts, blocked.not_before) == (State.WAITING, None, NOW + 4)


@pytest.mark.parametrize(("age", "wait"), [(0, LOOK_AGAIN), (100, 10), (86400, MAX_PAUSE)])
def test_a_file_that_stays_open_is_looked_at_less_and_less(age: float, wait: float) -> None:
    assert verdict(replace(JOB, created=NOW - age), StillWritten("open"), 0, NOW).not_before == NOW + wait


def test_retries_double_are_bounded_and_end() -> None:
    job, waits = JOB, list[float]()
    while (move := verdict(job, TransientError("io"), 6, NOW)).to is State.WAITING:
        assert move.attempts == job.attempts + 1 and "io" in move.reason
        waits.append(move.not_before - NOW)
        job = replace(job, attempts=move.attempts)
    assert waits == [1, 2, 4, 8, 8, 8] and max(waits) == MAX_BACKOFF
    assert move.to is State.FAILED and move.reason == "io"


def test_no_retries_wanted() -> None:
    assert verdict(JOB, TransientError("io"), 0, NOW).to is State.FAILED


@pytest.mark.parametrize("error", [SourceGone, StillWritten, BlockedError, TransientError, PermanentError])
def test_every_verdict_is_a_legal_move(error: type[DarkroomError]) -> None:
    assert verdict(JOB, error("x"), 1, NOW).to in NEXT[State.RUNNING]


def test_blockade_is_news_once_and_its_pause_doubles() -> None:
    blockades, now, pauses = Blockades(), NOW, list[float]()
    for number in range(8):
        assert blockades.open("r", now)
        blockade, news = blockades.block("r", "full", now)
        assert news == (number == 0) and not blockades.open("r", now)
        assert blockades.block("r", "full", now + 0.1) == (blockade, False), "failures of one moment count once"
        pauses.append(blockade.until - now)
        now = blockade.until
    assert pauses == [1, 2, 4, 8, 16, MAX_PAUSE, MAX_PAUSE, MAX_PAUSE] and blockades.times("r") == 8
    assert blockades.lift("r") and not blockades.lift("r") and blockades.open("r", now) and blockades.times("r") == 0


def test_blockades_are_of_one_rule() -> None:
    blockades = Blockades()
    blockades.block("r", "full", NOW)
    assert blockades.open("s", NOW) and blockades.reasons() == {"r": "full"}


@pytest.mark.parametrize("number", [2, 13, 17, 20, 28, 30, 122, 5])
def test_disk_that_must_change_blocks(number: int) -> None:
    error = writing_failed("/out/a.png", OSError(number, "so it is"))
    assert isinstance(error, BlockedError) and "/out/a.png" in str(error) and "so it is" in str(error)


@pytest.mark.parametrize("number", [36, 22, 27, 40, 21])
def test_name_that_can_never_work_fails(number: int) -> None:
    assert isinstance(writing_failed("/out/a.png", OSError(number, "so it is")), OutputRefused)


@pytest.mark.parametrize("number", [2, 20])
def test_source_not_there_is_gone(number: int) -> None:
    assert isinstance(reading_failed(OSError(number, "so it is")), SourceGone)


@pytest.mark.parametrize("number", [5, 13, 116])
def test_source_that_cannot_be_read_may_be_later(number: int) -> None:
    assert isinstance(reading_failed(OSError(number, "so it is")), TransientError)


def test_a_probe_that_proves_nothing_makes_way_for_the_next() -> None:
    blockades = Blockades()
    blockades.block("r", "full", NOW)
    blockades.probed("r", NOW + 1)
    assert not blockades.open("r", NOW + 1.5)
    blockades.undecided("r", NOW + 1.5)
    assert blockades.open("r", NOW + 1.5) and blockades.times("r") == 2
