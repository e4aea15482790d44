"""What happened since the last look, and how far the work is, brought to a display."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from daemon.journal.display import Display
from daemon.state import State

if TYPE_CHECKING:
    from daemon.assembly import Assembly

TELL_EVERY = 1.0
"""Seconds between two tellings while there is much to tell."""


class Showing:
    """`look` is called by the loop, many times a second."""

    def __init__(self, display: Display, stages: Assembly) -> None:
        self._display = display
        self._stages = stages
        self._told = 0.0

    def look(self) -> None:
        """Tell what happened: at once while little does, once a second while much does."""
        tally = self._stages.tally
        if not self._stages.pipeline.in_flight or time.monotonic() - self._told >= TELL_EVERY:
            self._told = time.monotonic()
            for event in tally.events(each=self._display.each_job):
                self._display.tell(event)
        finished = sum(tally.counts[state] for state in (State.DONE, State.FAILED, State.SKIPPED))
        self._display.progress(finished, self._stages.open_jobs(), tally.rate())
        self._display.tasks(self._stages.host.running())
