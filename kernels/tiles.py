"""Large pictures in tiles, each with a halo: what lies around it and still counts for what is computed in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise, product


@dataclass(frozen=True, slots=True)
class Span:
    """Rows, or columns: `low`..`high` are looked at, and of these `start`..`stop` are a tile's own."""

    start: int
    stop: int
    low: int
    high: int

    def core(self, scale: int) -> slice:
        """The own ones within those looked at, where `scale` rows have become one."""
        return slice((self.start - self.low) // scale, (self.stop - self.low) // scale)

    def own(self, scale: int) -> slice:
        """The own ones within the whole, likewise."""
        return slice(self.start // scale, self.stop // scale)

    @property
    def seen(self) -> slice:
        """Those looked at within the whole."""
        return slice(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a picture."""

    rows: Span
    columns: Span

    @property
    def seen(self) -> int:
        """Pixels looked at."""
        return (self.rows.high - self.rows.low) * (self.columns.high - self.columns.low)


def tiles(height: int, width: int, *, side: int, halo: int, stride: int) -> list[Tile]:
    """A picture, both sides multiples of `stride`, cut into tiles that look at no more than about side × side pixels.

    Every edge is a multiple of the stride. The tiles' own parts are nearly equal and cover each pixel once; where the
    picture goes on a tile sees `halo` more, rounded up to the stride.
    """
    halo = math.ceil(halo / stride) * stride
    return [Tile(rows, columns) for rows, columns in product(*(_spans(n, side, halo, stride) for n in (height, width)))]


def _spans(length: int, side: int, halo: int, stride: int) -> list[Span]:
    if length <= side:
        return [Span(0, length, 0, length)]
    # Never more halo than tile: it would be computed many times over.
    count = math.ceil(length / max(stride, halo, side - 2 * halo))
    units = length // stride
    edges = [units * number // count * stride for number in range(count + 1)]
    return [
        Span(start, stop, max(0, start - halo), min(length, stop + halo))
        for start, stop in pairwise(edges)
        if stop > start
    ]
