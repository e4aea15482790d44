"""The states of a job. In a file of its own: the command line names them before it loads anything else."""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """The states of a job, as `darkroom jobs` shows them."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
