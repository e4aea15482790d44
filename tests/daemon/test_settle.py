"""When a file is still, with clocks that the test turns."""

from __future__ import annotations

import pytest

from daemon.intake.settle import CLOSED_QUIET, Settler, Sighting
from daemon.model import Fingerprint

QUIET = 0.5


def seen(name: str = "a.png", *, size: int = 1, changed: float = 0.0, closed: bool = False) -> Sighting:
    return Sighting("/in", name, Fingerprint(size, 2, 3), changed, closed)


def names(settler: Settler, now: float) -> list[str]:
    return [sighting.relative for sighting in settler.ripe(now)]


def test_own_times_prove_it() -> None:
    settler = Settler(QUIET)
    assert settler.still(seen(changed=100.0), wall=100.5)
    assert not settler.still(seen(changed=100.0), wall=100.49)
    assert not settler.still(seen(changed=9000.0), wall=100.0), "times in the future prove nothing"


def test_held_until_quiet_and_handed_over_once() -> None:
    settler = Settler(QUIET)
    settler.hold(seen(), 10.0)
    assert names(settler, 10.49) == [] and settler.next_ripe(10.2) == pytest.approx(0.3)
    assert names(settler, 10.5) == ["a.png"] and names(settler, 99.0) == [] and len(settler) == 0


def test_growing_file_starts_anew() -> None:
    settler = Settler(QUIET)
    for step in range(10):
        settler.hold(seen(size=step), 10.0 + step * 0.4)
        assert names(settler, 10.0 + step * 0.4) == []
    assert names(settler, 13.6 + 0.5) == ["a.png"]


def test_seen_again_unchanged_does_not_start_anew() -> None:
    settler = Settler(QUIET)
    settler.hold(seen(), 10.0)
    settler.hold(seen(), 10.4)
    assert names(settler, 10.5) == ["a.png"]


def test_close_shortens_but_not_to_nothing() -> None:
    settler = Settler(QUIET)
    settler.hold(seen(), 10.0)
    settler.hold(seen(closed=True), 10.01)
    assert names(settler, 10.0 + CLOSED_QUIET - 0.01) == []
    assert names(settler, 10.0 + CLOSED_QUIET + 0.01) == ["a.png"]


def test_close_never_lengthens() -> None:
    settler = Settler(CLOSED_QUIET / 5)
    settler.hold(seen(closed=True), 10.0)
    assert names(settler, 10.0 + CLOSED_QUIET / 2) == ["a.png"]


def test_written_after_a_close_waits_in_full() -> None:
    settler = Settler(QUIET)
    settler.hold(seen(closed=True), 10.0)
    settler.hold(seen(size=2), 10.01)
    assert names(settler, 10.4) == [] and names(settler, 10.52) == ["a.png"]


def test_gone_is_forgotten() -> None:
    settler = Settler(QUIET)
    settler.hold(seen(), 10.0)
    settler.forget("/in", "a.png")
    settler.forget("/in", "never.png")
    assert settler.next_ripe(10.0) is None and names(settler, 99.0) == []


def test_same_name_in_two_folders() -> None:
    settler = Settler(QUIET)
    settler.hold(seen(), 10.0)
    settler.hold(Sighting("/other", "a.png", Fingerprint(9, 9, 9), 0.0), 10.0)
    assert len(settler) == 2 and names(settler, 10.5) == ["a.png", "a.png"]
