"""Keeps the reports of measuring rules up to date while pictures arrive: from the ledger to three files, in a thread.

Nothing is kept between two writings but rendered pictures: what counts is what the ledger says, so a restart, a
replaced picture or a second process cannot make a report count wrong.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.codec import decode, probe
from daemon.errors import DarkroomError
from daemon.ledger import Ledger
from daemon.model import Rule, State, unfinished
from daemon.report.values import Study, Unmeasured
from daemon.rulebook import Rulebook
from kernels.chain import canonical, describe
from kernels.measuring import series_of, side_of

PAUSE = 1.0
"""Seconds between two writings of a report, at least."""
SHARE = 0.05
"""Of the time that may go into reports: a report that takes 0.3 s is written every 6 s."""
FIRST = 0.3
"""Seconds that the first report takes, template engine and pictures included. With a backlog at the start none is begun
in the first six seconds: a short one is reported once, at its end."""
SAMPLES = 50
"""Skipped and failed pictures that a report names."""
SHOWN_PIXELS = 64_000_000
"""A picture with more is not decoded for the picture grid: that happens beside `runtime.memory`."""


log = logging.getLogger("darkroom")

ON_THE_WAY = (State.WAITING, State.RUNNING, State.CANCELLED)


class Reporter:
    """Writes the report of every rule that has one, from one thread. Out of date is what the ledger counts otherwise.

    Counted and not told: `darkroom cancel` and `retry` act from processes of their own.
    """

    def __init__(self, rulebook: Rulebook, ledger: Ledger, complain: Callable[[str], None]) -> None:
        self._rulebook = rulebook
        self._ledger = ledger
        self._complain = complain
        self._written: dict[Rule, Mapping[State, int]] = {}
        self._writers: dict[Rule, Any] = {}

    @property
    def _rules(self) -> list[Rule]:
        return [rule for rule in self._rulebook.rules.values() if rule.report is not None]

    def run(self, stop: threading.Event) -> None:
        """Write what is out of date, again and again, until `stop` is set. A kill may have left any report behind."""
        cost, started = 0.0, time.monotonic()
        while not stop.wait(max(PAUSE, cost / SHARE)):
            began = time.monotonic()
            if self._writers or began - started > FIRST / SHARE or not self._in_a_backlog():
                self.finish()
            cost = time.monotonic() - began

    def _in_a_backlog(self) -> bool:
        counts = self._counts() or {}
        return any(unfinished(counts.get(rule.name, {})) for rule in self._rules)

    def _counts(self) -> Mapping[str, Mapping[State, int]] | None:
        """Jobs by rule and state; None when the ledger cannot tell."""
        try:
            return self._ledger.counts()
        except DarkroomError:  # it waits for its disk unless darkroom is stopping, and has told of it
            return None

    def finish(self) -> bool:
        """Write every report that is out of date, now; whether all are as they should be."""
        rules = self._rules
        counts = self._counts() if rules else {}
        if counts is None:
            return False
        current = [self._write(rule, counts.get(rule.name, {})) for rule in rules]
        self._written = {rule: written for rule, written in self._written.items() if rule in rules}
        self._writers = {rule: writer for rule, writer in self._writers.items() if rule in rules}
        return all(current)

    def _write(self, rule: Rule, counts: Mapping[State, int]) -> bool:
        if counts == self._written.get(rule, {}):
            return True
        try:
            self._write_files(rule)
        except DarkroomError as error:
            self._complain(f"{rule.name}: report: {error}")
            return False
        except Exception as error:  # a report that cannot be drawn must not stop the pictures
            log.error("internal error with the report of %s", rule.name, exc_info=error)
            self._complain(f"{rule.name}: report: internal error ({type(error).__name__}: {error}); please report it")
            return False
        self._written[rule] = counts
        return True

    def _write_files(self, rule: Rule) -> None:
        assert rule.report is not None
        if rule not in self._writers:
            from daemon.report.writer import ReportWriter  # the template engine: loaded when there is something to show

            self._writers[rule] = ReportWriter()
        self._writers[rule].write(rule.report, study_of(rule, self._ledger), load_picture)


def study_of(rule: Rule, ledger: Ledger) -> Study:
    """Everything a rule has measured so far, as the ledger has it."""
    series = series_of(rule.chain)
    counts = ledger.counts().get(rule.name, {})
    measured = ledger.measured_by(rule.name, canonical(rule.chain), len(series))
    return Study(
        rule=rule.name,
        steps=describe(rule.chain),
        series=series,
        size=side_of(rule.chain),
        pictures=measured.relatives,
        sources=[f"{root}/{relative}" for root, relative in zip(measured.roots, measured.relatives, strict=True)],
        mse=measured.mse,
        counts={**{state: counts.get(state, 0) for state in ON_THE_WAY}, **measured.ended},
        skipped=_sample(ledger, rule.name, State.SKIPPED),
        failed=_sample(ledger, rule.name, State.FAILED),
        devices=ledger.devices(rule.name),
        left_out=measured.others,
        updated=time.time(),
    )


def load_picture(source: str) -> NDArray[np.uint8] | None:
    """The decoded picture of a source; None where it is gone, was replaced by something else, or is huge."""
    try:
        data = Path(source).read_bytes()
        return decode(data, probe(data, SHOWN_PIXELS)).pixels
    except (OSError, DarkroomError, MemoryError):
        return None


def _sample(ledger: Ledger, rule: str, state: State) -> list[Unmeasured]:
    return [Unmeasured(picture, reason) for picture, reason in ledger.unmeasured(rule, state, SAMPLES)]
