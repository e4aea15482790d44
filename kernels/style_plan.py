"""How a style transfer is done within the memory there is: sizes, optimiser and tiles, with what each will take.

The plan is made once, before the first step, and stays with the state: what memory there is later changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kernels.features.tiled import HALO
from kernels.tasks import TaskStarved
from kernels.tiles import tiles

SMALLEST = 96
"""Pixels of the longer side below which no coarser size is begun with."""
HISTORIES = (5, 3)
"""Steps that L-BFGS remembers. Ten save one step in twenty, and each takes a fifth longer."""
LARGEST_STATE = 512 << 20
"""Bytes of L-BFGS's vectors at most, where the choice is ours: all of them go to disk with each checkpoint."""
TILES = (2048, 1536, 1024, 768, 512, 384)
"""Sides in pixels, with the halo."""
ALIGNED = 32
"""Pixels: no network's stride is larger, so a picture that is padded to it still is one tile."""
FLOAT = 4
HOLES = 1.1
"""A heap has some; see docs/performance.md."""


@dataclass(frozen=True, slots=True)
class Size:
    """One size: its pixels, its steps, `history` for L-BFGS or 0 for Adam, the side of its tiles, bytes it takes."""

    height: int
    width: int
    steps: int
    history: int
    side: int
    memory: int

    @property
    def work(self) -> int:
        """What its steps cost, in pixels."""
        return self.steps * self.height * self.width


@dataclass(frozen=True, slots=True)
class Costs:
    """What counts, in bytes: `pixel` for the network there and back and `features` for the content's layers, both for
    each pixel; `fixed` for the pictures at their own sizes. `channels` of the picture sought: 3, or 1 if it is grey;
    `stride` is the network's."""

    pixel: float
    features: float
    fixed: int
    channels: int
    stride: int

    def of(self, height: int, width: int, history: int, side: int) -> int:
        """Bytes at the peak."""
        pixels, plane = height * width, FLOAT * self.channels
        rows, columns = (self.stride * math.ceil(length / self.stride) for length in (height, width))
        seen = max(tile.seen for tile in tiles(rows, columns, side=side, halo=HALO, stride=self.stride))
        return int(self.fixed + pixels * (vectors(history) * plane + self.features) + HOLES * seen * self.pixel)


def vectors(history: int) -> int:
    """Tensors as large as the picture that an optimiser and an evaluation hold at their busiest."""
    return 2 * history + 14 if history else 14


def sizes(height: int, width: int, count: int | None) -> list[tuple[int, int]]:
    """From coarse to fine, each twice the one before, the last as given. `count`: as many; None: from SMALLEST on."""
    if count is None:
        count = 1 + max(0, math.floor(math.log2(max(height, width) / SMALLEST)))
    return [(max(1, round(height / 2**n)), max(1, round(width / 2**n))) for n in reversed(range(count))]


def plan(
    pixels: list[tuple[int, int]], steps: int, costs: Costs, optimizer: str, memory: int, wanted: int | None = None
) -> list[Size]:
    """How each size is done within `wanted` bytes, or if that cannot be as modestly as possible within `memory`.

    The last size has all the `steps`, those before half as many: with 25 or 200 steps there the loss that the last size
    ends with differs by a hundredth (docs/performance.md). Raises TaskStarved where that cannot be either.
    """
    wanted = memory if wanted is None else wanted
    made = [math.ceil(steps / 2)] * (len(pixels) - 1) + [steps]
    largest_first = zip(reversed(pixels), reversed(made), strict=True)  # it is the one to be told of if it does not fit
    return [
        _planned(height, width, count, costs, optimizer, (wanted, memory)) for (height, width), count in largest_first
    ][::-1]


def _planned(height: int, width: int, steps: int, costs: Costs, optimizer: str, bounds: tuple[int, int]) -> Size:
    (wanted, memory), needed = bounds, 0
    for history, side in _ways(height, width, costs, optimizer):
        needed = costs.of(height, width, min(history, steps), side)
        if needed <= wanted:
            break
    if needed <= memory:
        return Size(height, width, steps, history, side, needed)
    raise TaskStarved(
        f"{width}×{height} needs {needed / 2**20:,.0f} MiB at least, and {memory / 2**20:,.0f} MiB can be had;"
        " give it a smaller size, or free memory"
    )


def _ways(height: int, width: int, costs: Costs, optimizer: str) -> Iterator[tuple[int, int]]:
    """Histories and sides of tiles, the best first: a shorter memory costs less than smaller tiles do."""
    whole = ALIGNED * math.ceil(max(height, width) / ALIGNED)
    sides = [whole, *(side for side in TILES if side < whole)]
    vector = FLOAT * costs.channels * height * width
    histories = [
        history
        for history in HISTORIES
        if optimizer == "lbfgs" or (optimizer == "auto" and vectors(history) * vector <= LARGEST_STATE)
    ]
    for side in sides:
        for history in histories or [0]:
            yield history, side
    if histories and optimizer == "auto":
        yield 0, sides[-1]
