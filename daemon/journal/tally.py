"""How the work goes: counts, pictures per second, time left, and the lines worth telling. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from daemon.journal.journal import Event, Level
from daemon.ledger import Move
from daemon.model import Job, State

WINDOW = 10.0
"""Seconds over which throughput is measured."""
TOLD_ALONE = 5
"""Finished pictures between two looks that still get a line each; more are told together."""


_LEVELS = {State.FAILED: Level.ERROR, State.WAITING: Level.WARNING}


class Tally:
    """Notes every job that ends; gives back numbers and lines."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: deque[tuple[float, int]] = deque()
        self._done: list[tuple[Job, Move]] = []
        self._events: list[Event] = []
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self.progressed = time.monotonic()
        """When a job last got on, or is to be tried again: waiting for that is no standstill."""

    def note(self, job: Job, move: Move) -> None:
        """A job left `running`."""
        with self._lock:
            self.counts[move.to] += 1
            if move.to is not State.WAITING or move.attempts is not None:
                to_come = time.monotonic() + max(0.0, move.not_before - time.time())
                self.progressed = max(self.progressed, to_come)
            if move.to is State.DONE:
                self._done.append((job, move))
            elif move.to in (State.FAILED, State.SKIPPED) or move.attempts is not None:
                text = f"{job.rule}: {job.relative}: {move.to.value}: {move.reason}"
                self._events.append(Event(text, _LEVELS.get(move.to, Level.INFO), _fields(job, move)))

    def events(self, *, each: bool) -> list[Event]:
        """What happened since the last look. `each`: an event for every job, also where many were done."""
        with self._lock:
            done, self._done = self._done, []
            events, self._events = self._events, []
            self._times.append((time.monotonic(), len(done)))
        if each or len(done) <= TOLD_ALONE:
            return [_done(job, move) for job, move in done] + events
        by_rule = dict[str, int]()
        for job, _ in done:
            by_rule[job.rule] = by_rule.get(job.rule, 0) + 1
        rate = f"({self.rate():.0f}/s)"
        return [Event(f"{rule}: {number} pictures done {rate}") for rule, number in by_rule.items()] + events

    def summary(self) -> str:
        """How many jobs ended how; "" if none did."""
        ends = [state for state in (State.DONE, State.FAILED, State.SKIPPED, State.CANCELLED) if self.counts[state]]
        return ", ".join(f"{self.counts[state]:,} {state}" for state in ends)

    def rate(self) -> float:
        """Pictures done per second, over the last seconds in which there was work."""
        with self._lock:
            now = time.monotonic()
            while self._times and self._times[0][0] < now - WINDOW:
                self._times.popleft()
            if len(self._times) < 2:
                return 0.0
            return sum(number for _, number in list(self._times)[1:]) / max(1e-6, now - self._times[0][0])


def _done(job: Job, move: Move) -> Event:
    return Event(f"{job.rule}: {job.relative} → {move.output or move.reason}", fields=_fields(job, move))


def _fields(job: Job, move: Move) -> dict[str, Any]:
    """A job that ended, for programs."""
    told = {
        "event": "job",
        "job": job.id,
        "rule": job.rule,
        "picture": job.path,
        "state": move.to.value,
        "reason": move.reason,
        "output": move.output,
        "device": move.device,
        "seconds": round(time.time() - job.created, 3),
    }
    return {name: value for name, value in told.items() if value is not None}
