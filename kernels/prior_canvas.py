"""The picture that a deep image prior works on: tile by tile its priors take the place of what it began as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.tiles import Span, Tile

if TYPE_CHECKING:
    from torch import Tensor

FINE = 128
"""Parts of a level: what overlapping tiles give is summed in 16 bits, half of what floats would take."""


def blank(start: Tensor) -> Tensor:
    """A canvas, int16 H×W×3, that shows uint8 `start`."""
    return start.short().mul_(FINE)


def laid(canvas: Tensor, start: Tensor, tile: Tile, picture: Tensor) -> Tensor:
    """A copy of the canvas with a tile's `picture`, float32 1×C×h×w on the scale 0..1, over what it began as.

    Where tiles overlap each counts the less the nearer its end is, and all of them as much as one.
    """
    canvas = canvas.clone()
    place = tile.rows.seen, tile.columns.seen
    levels = picture[0].permute(1, 2, 0).mul(255)
    weight = _ramps(tile.rows, canvas.shape[0])[:, None, None] * _ramps(tile.columns, canvas.shape[1])[:, None]
    canvas[place] += ((levels - start[place].float()) * (FINE * weight.to(levels))).round_().short()
    return canvas


def _ramps(span: Span, length: int) -> Tensor:
    """How much each row of a tile counts: 1, and at an end where the picture goes on, from 0 to 1 over the overlap."""
    rows = torch.arange(span.low, span.high) + 0.5
    weight = torch.ones(len(rows))
    if span.low > 0:
        weight = weight * ((rows - span.low) / (2 * (span.start - span.low))).clamp(max=1)
    if span.high < length:
        weight = weight * ((span.high - rows) / (2 * (span.high - span.stop))).clamp(max=1)
    return weight


def shown(canvas: Tensor) -> Tensor:
    """The canvas as pixels, uint8 H×W×3, rounded to the nearest level."""
    return canvas.add(FINE // 2).floor_divide_(FINE).clamp_(0, 255).to(torch.uint8)
