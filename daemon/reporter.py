"""Keeps the reports of measuring rules up to date while pictures arrive: from the ledger to three files, in a thread.

Nothing is kept between two writings but rendered pictures: what counts is what the ledger says, so a restart, a
replaced picture or a second process cannot make a report count wrong.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.codec import decode, probe
from daemon.errors import BlockedError, DarkroomError
from daemon.ledger import Ledger, Move
from daemon.model import Config, Job, Rule, State
from daemon.report.values import Study, Unmeasured
from kernels.chain import Chain, canonical, describe, measured_steps
from kernels.measuring import series_of

PAUSE = 1.0
"""Seconds between two writings of a report, at least."""
SHARE = 0.05
"""Of the time that may go into reports: a report that takes 0.3 s is written every 6 s."""
SAMPLES = 50
"""Skipped and failed pictures that a report names."""
SHOWN_PIXELS = 64_000_000
"""A picture with more is not decoded for the picture grid: that happens beside `runtime.memory`."""


class Reporter:
    """Writes the report of every rule that has one. `note` is called from any thread; `run` and `finish` from one."""

    def __init__(self, config: Config, ledger: Ledger, complain: Callable[[str], None]) -> None:
        self._rules = {rule.name: rule for rule in config.rules if rule.report is not None}
        self._ledger = ledger
        self._complain = complain
        self._lock = threading.Lock()
        self._stale = set[str]()
        self._changed = threading.Event()
        self._writers: dict[str, Any] = {}
        self.spent = 0.0
        """Seconds that went into reports so far."""

    def note(self, job: Job, move: Move) -> None:
        """A job has ended: its rule's report is out of date."""
        if job.rule in self._rules and move.to in (State.DONE, State.FAILED, State.SKIPPED):
            with self._lock:
                self._stale.add(job.rule)
            self._changed.set()

    def run(self, stop: threading.Event) -> None:
        """Write what is out of date, again and again, until `stop` is set. A kill may have left any report behind."""
        if not self._rules:
            return
        with self._lock:
            self._stale |= self._rules.keys() & self._ledger.counts().keys()
            self._changed.set()
        cost = 0.0
        # The pause comes first: a short run writes its report once, at its end.
        while not stop.wait(max(PAUSE, cost / SHARE)):
            if self._changed.wait(PAUSE) and not stop.is_set():
                began = time.monotonic()
                self.finish()
                cost = time.monotonic() - began

    def wake(self) -> None:
        """End the current wait at once."""
        self._changed.set()

    def finish(self) -> None:
        """Write every report that is out of date, now."""
        with self._lock:
            stale, self._stale = self._stale, set()
            self._changed.clear()
        for rule in sorted(stale):
            began = time.monotonic()
            try:
                self._write(self._rules[rule])
            except DarkroomError as error:
                self._complain(f"{rule}: report: {error}")
                self._try_again(rule, error)
            self.spent += time.monotonic() - began

    def _write(self, rule: Rule) -> None:
        assert rule.report is not None
        if rule.name not in self._writers:
            from daemon.report.writer import ReportWriter  # the template engine: loaded when there is something to show

            self._writers[rule.name] = ReportWriter()
        self._writers[rule.name].write(rule.report, study_of(rule, self._ledger), load_picture)

    def _try_again(self, rule: str, error: DarkroomError) -> None:
        if isinstance(error, BlockedError):
            with self._lock:
                self._stale.add(rule)
            self._changed.set()


def study_of(rule: Rule, ledger: Ledger) -> Study:
    """Everything a rule has measured so far, as the ledger has it."""
    series = series_of(rule.chain)
    measured = ledger.measured_by(rule.name, canonical(rule.chain), len(series))
    return Study(
        rule=rule.name,
        steps=describe(rule.chain),
        series=series,
        size=size_of(rule.chain),
        pictures=measured.relatives,
        sources=[f"{root}/{relative}" for root, relative in zip(measured.roots, measured.relatives, strict=True)],
        mse=measured.mse,
        counts=ledger.counts().get(rule.name, {}),
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


def size_of(chain: Chain) -> int | None:
    """The size that a study brings its pictures to, in pixels."""
    for measured in measured_steps(chain):
        if measured.measures.side is not None:
            return measured.measures.side(dict(measured.step.parameters))
    return None


def _sample(ledger: Ledger, rule: str, state: State) -> list[Unmeasured]:
    return [Unmeasured(job.relative, job.reason) for job in ledger.jobs(state, rule, SAMPLES)]
