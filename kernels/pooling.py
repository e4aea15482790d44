"""Means over square cells: the pool-upsample that stands for a U-Net's skip connection (mission S3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.picture import Picture
from kernels.sampling import cell_count, cells
from kernels.spec import Integer, operator

if TYPE_CHECKING:
    from torch import Tensor


def cell_means(picture: Picture, block: int) -> Picture:
    """The mean of each `block` × `block` cell, a picture of ⌈H/block⌉ × ⌈W/block⌉; the last cells may be partial.

    Whole levels are summed exactly while a sum stays below 2²⁴, that is for cells up to 256 × 256.
    """
    rows, columns = cell_count(picture.height, block), cell_count(picture.width, block)
    levels = picture.levels()
    batch, channels, height, width = levels.shape
    padded = F.pad(levels, (0, columns * block - width, 0, rows * block - height))
    # One axis at a time: both sums then run along plain rows of memory, and rounding stays small in large cells.
    sums = padded.reshape(batch, channels, rows, block, columns * block).sum(3)
    sums = sums.reshape(batch, channels, rows, columns, block).sum(4)
    return Picture(sums / (_pixels(height, block)[:, None] * _pixels(width, block)))


def enlarged(small: Picture, block: int, height: int, width: int) -> Picture:
    """Each pixel as a cell of `block` × `block`, cut to `height` × `width`: nearest-neighbour enlargement."""
    return small.spread(cells(height, block), cells(width, block))


def _pixels(n: int, block: int) -> Tensor:
    """How many of `n` pixels lie in each cell, as float32: a partial cell is divided by what is really there."""
    starts = torch.arange(cell_count(n, block)) * block
    return torch.clamp(n - starts, max=block).float()


@operator("pool_upsample", scale=Integer(8, low=1, high=1024, unit="px", doc="side of the square that is averaged"))
def pool_upsample(picture: Picture, *, scale: int) -> Picture:
    """Average over squares, then enlarge by nearest neighbour; the size is kept."""
    if scale == 1:
        return picture
    return enlarged(cell_means(picture, scale), scale, picture.height, picture.width)
