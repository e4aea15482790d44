"""Where the stages tell what they do, for whoever counts it. Without metrics nobody does, and it costs nothing."""

from __future__ import annotations

import enum
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from daemon.ledger import Move
from daemon.model import Job


class Stage(enum.StrEnum):
    """What takes time."""

    SCAN = "scan"
    DECODE = "decode"
    RUN = "run"
    ENCODE = "encode"
    SYNC = "sync"
    PUBLISH = "publish"
    TASK = "task"


class Meters(Protocol):
    """Called by the stages from any thread; never raises and never waits."""

    def timed(self, stage: Stage) -> AbstractContextManager[object]:
        """A stage does one piece of its work, for as long as the context lasts."""

    def batch(self, pictures: int) -> None:
        """A batch of so many pictures is about to run."""

    def ended(self, job: Job, move: Move) -> None:
        """A job left `running`, or can be no job; the ledger has it."""


class NoMeters:
    """Nobody counts."""

    _nothing = nullcontext[object]()

    def timed(self, stage: Stage) -> AbstractContextManager[object]:
        """Nothing."""
        return self._nothing

    def batch(self, pictures: int) -> None:
        """Nothing."""

    def ended(self, job: Job, move: Move) -> None:
        """Nothing."""


NO_METERS = NoMeters()
