"""One picture on its way through the pipeline, and the recipe it is made by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.codec import Decoded, Header
from daemon.model import EarlierResult, Job, Rule
from kernels.measuring import Finding, side_of


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a rule's results are made by. `key` changes whenever the result could: operators, parameters, encoding.

    `graph` is compiled from its chain; a task has none.
    """

    graph: Path | None
    key: str


@dataclass(slots=True)
class Work:
    """A claimed job. Fields fill up as it goes; `charged` is what it holds of the memory budget, in bytes.

    A task also leaves files `beside` its output, by suffix, a `record` as JSON, and words that are `told` of it.
    """

    job: Job
    rule: Rule
    recipe: Recipe
    earlier: EarlierResult | None = None
    data: bytes | None = None
    content: str = ""
    header: Header | None = None
    decoded: Decoded | None = None
    result: NDArray[np.uint8] | None = None
    finding: Finding | None = None
    beside: Mapping[str, bytes] = field(default_factory=dict)
    record: str | None = None
    told: tuple[str, ...] = ()
    device: str = ""
    charged: int = 0

    @property
    def pixels(self) -> int:
        """Pixels of the picture; 0 before its header was read."""
        return 0 if self.header is None else self.header.width * self.header.height

    @property
    def run_pixels(self) -> int:
        """Pixels that a run works on: those of the picture, or of the larger square that a measurement makes of it."""
        return max(self.pixels, (side_of(self.rule.chain) or 0) ** 2)
