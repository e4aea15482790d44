"""What a report is made of: plain values, read from the ledger by the caller. No files, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.model import State
from kernels.spec import Series


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A picture that gave no numbers, and why."""

    picture: str
    reason: str


@dataclass(frozen=True, slots=True)
class Study:
    """Everything a rule has measured so far.

    `mse` is float64, pictures × series, on the scale 0..1 (0 where identical); row i belongs to `pictures[i]` (relative
    to its watched folder) and `sources[i]` (absolute). `counts` are all jobs of the rule. `skipped` and `failed` hold
    the newest few; how many there are in all stands in `counts`. `left_out` pictures were measured with other steps.
    """

    rule: str
    steps: str
    series: tuple[Series, ...]
    size: int | None
    pictures: Sequence[str]
    sources: Sequence[str]
    mse: NDArray[np.float64]
    counts: Mapping[State, int]
    skipped: Sequence[Unmeasured]
    failed: Sequence[Unmeasured]
    devices: Mapping[str, int]
    left_out: int
    updated: float

    @property
    def complete(self) -> bool:
        """Whether nothing is on its way any more."""
        return not self.counts.get(State.WAITING, 0) and not self.counts.get(State.RUNNING, 0)
