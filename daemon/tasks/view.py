"""A running task as people see it. Imports nothing heavy: `darkroom status` shows it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TaskView:
    """How far a task is. `began`: seconds since the epoch; `left`: seconds, None where nobody can tell yet.

    `worker` is the process it runs in and `device` what that computes on, None before there is one.
    """

    job: int
    rule: str
    picture: str
    began: float
    device: str | None = None
    step: int = 0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    left: float | None = None
    worker: int | None = None

    def __str__(self) -> str:
        """`step 57 of 200, loss 1,234, 12 s left`."""
        if not self.step:
            return "begins" if self.device else "waits for PyTorch to load"
        words = [f"step {self.step:,} of {self.steps:,}"]
        words += [f"{name} {float(value):,.4g}" for name, value in list(self.losses.items())[:1]]
        words += [f"{duration(self.left)} left"] if self.left is not None else []
        return ", ".join(words)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
