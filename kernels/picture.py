"""A batch of pictures on its way through a chain, seen through row and column indices that are applied late.

Values are **levels**, 0..255, also as floats. On this scale whole levels, sums of them and binomial weights are
exact in float32, so a result that lies half-way between two levels lies there in every runtime and is rounded alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import torch

if TYPE_CHECKING:
    from torch import Tensor

Pointwise: TypeAlias = "Callable[[Tensor], Tensor]"


@dataclass(frozen=True, slots=True)
class Picture:
    """N pictures of one size, N×H×W×3, in RGB.

    `values` are uint8 N×h×w×3, or N×3×h×w floats (float32; float64 where a rounding hangs on the last bit); read them
    with `levels` or `bytes`. `pointwise` are functions still to be applied to each pixel, and `rows` and `columns` say
    which of the h×w pixels the H×W are. Both are put off until values are asked for: a mosaic then computes on its
    cells, and moves whole bytes to enlarge them.
    """

    values: Tensor
    pointwise: tuple[Pointwise, ...] = ()
    rows: Tensor | None = None
    columns: Tensor | None = None

    @property
    def height(self) -> int:
        """H in pixels."""
        return self._small_height if self.rows is None else self.rows.shape[0]

    @property
    def width(self) -> int:
        """W in pixels."""
        return self._small_width if self.columns is None else self.columns.shape[0]

    def levels(self) -> Tensor:
        """All pixels as float32 N×3×H×W levels, not rounded and not clamped."""
        return _enlarge(self._small_levels(), 2, self.rows, self.columns)

    def bytes(self) -> Tensor:
        """All pixels as uint8 N×H×W×3: levels rounded, half to even, and clamped to 0..255."""
        if self.pointwise or self.values.is_floating_point():
            small = self._unrounded().round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        else:
            small = self.values
        return _enlarge(small, 1, self.rows, self.columns)

    def settled(self) -> Picture:
        """The same picture with nothing left to apply to its pixels: for steps that read pixels more than once."""
        return Picture(self.levels()) if self.pointwise else self

    def take(self, rows: Tensor, columns: Tensor | None = None) -> Picture:
        """The pixels at `rows` × `columns` (all of them if None), now: what follows computes on these alone."""
        first = 2 if self.values.is_floating_point() else 1
        seen = self.spread(rows, columns)
        # Rows first: what is left out is left out in whole rows.
        values = self.values if seen.rows is None else self.values.index_select(first, seen.rows)
        return Picture(values if seen.columns is None else values.index_select(first + 1, seen.columns), self.pointwise)

    def spread(self, rows: Tensor, columns: Tensor | None = None) -> Picture:
        """The pixels at `rows` × `columns`, late: what follows pixel by pixel still computes on the few it has."""
        return replace(self, rows=_compose(self.rows, rows), columns=_compose(self.columns, columns))

    def map(self, function: Pointwise) -> Picture:
        """Each pixel through `function`, which takes and gives float32 N×3×h×w levels and mixes no two pixels."""
        return replace(self, pointwise=(*self.pointwise, function))

    @property
    def _small_height(self) -> int:
        return self.values.shape[2 if self.values.is_floating_point() else 1]

    @property
    def _small_width(self) -> int:
        return self.values.shape[3 if self.values.is_floating_point() else 2]

    def _unrounded(self) -> Tensor:
        return self._small_levels() if self.pointwise else self.values

    def _small_levels(self) -> Tensor:
        floating = self.values.is_floating_point()
        # Bytes are transposed before they are widened: a quarter of the memory traffic.
        levels = (self.values if floating else self.values.permute(0, 3, 1, 2)).float()
        for function in self.pointwise:
            levels = function(levels)
        return levels


def _enlarge(values: Tensor, first: int, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """`values` at `rows` of axis `first` and `columns` of the next; columns first, so that rows are whole copies."""
    if columns is not None:
        values = values.index_select(first + 1, columns)
    return values if rows is None else values.index_select(first, rows)


def _compose(first: Tensor | None, then: Tensor | None) -> Tensor | None:
    """One index vector for two, one after the other."""
    if first is None or then is None:
        return first if then is None else then
    return first.index_select(0, then)
