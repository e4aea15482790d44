"""What a deep image prior is given: whether anything can be done with it, where, and what it begins as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.prior_observation import kept_by
from kernels.tasks import TaskRefused
from kernels.tiles import Tile

if TYPE_CHECKING:
    from torch import Tensor

UNKNOWN = 127
"""Level of what is not known yet."""
FEWEST = 64
"""Kept pixels of a tile that is filled in: with fewer any picture would do."""
LEAST = 32
"""Pixels of the result's sides: a network with five levels sees nothing of a smaller picture but its mean."""

MOST = 65_535
"""Pixels of a JPEG's sides (ISO/IEC 10918-1, 16 bits); `compare` is one."""


def refuse_size(picture: Tensor, factor: int, compare: bool) -> None:
    """Raise TaskRefused for a picture that is too small, or too long to be shown beside its result."""
    height, width, _ = picture.shape
    if min(height, width) * factor < LEAST:
        raise TaskRefused(
            f"{width}×{height} pixels are too few: the result needs {LEAST} a side; take a larger picture"
        )
    both = [factor * height, factor * width]
    both[along(*both)] *= 2
    if compare and max(both) > MOST:
        raise TaskRefused(
            f"before and after have {both[1]}×{both[0]} pixels together, and a JPEG {MOST:,} a side at most;"
            " remove compare, or take a smaller picture"
        )


def along(height: int, width: int) -> int:
    """The dimension along which before and after lie side by side: across, but one above the other where they are
    wide."""
    return 0 if width > 2 * height else 1


def kept_part(picture: Tensor, mask: Tensor | None) -> Tensor:
    """Where the picture is kept, bool H×W×1. Raises TaskRefused for a mask by which nothing can be done."""
    if mask is None:
        raise TaskRefused(
            "there is nothing to fill in: the picture has no transparent part, and there is no mask;"
            " give one, white where the picture is kept and black where it is filled"
        )
    if mask.shape != picture.shape:
        (height, width, _), (rows, columns, _) = picture.shape, mask.shape
        raise TaskRefused(f"the mask has {columns}×{rows} pixels, the picture {width}×{height}; make them alike")
    kept = kept_by(mask)
    if kept.all():
        raise TaskRefused(
            "there is nothing to fill in: the mask is white all over, or what is transparent is less than half so;"
            " paint what is to be filled black, or wipe it out"
        )
    if not kept.any():
        raise TaskRefused(
            "there is nothing to go by: the mask is black all over, or all of the picture is transparent;"
            " leave what is to be kept white, or opaque"
        )
    return kept


def start_from(picture: Tensor, kept: Tensor | None, factor: int) -> Tensor:
    """What is shown before anything was found; of what is to be filled in, nothing: it may have been wiped out."""
    if kept is not None:
        return torch.where(kept, picture, UNKNOWN)
    return picture if factor == 1 else picture.repeat_interleave(factor, 0).repeat_interleave(factor, 1)


def needed(tiles: list[Tile], kept: Tensor | None) -> list[Tile]:
    """The tiles in which something is to be found. Raises TaskRefused for one that has nothing to go by."""
    if kept is None:
        return tiles
    found = [tile for tile in tiles if not kept[tile.rows.seen, tile.columns.seen].all()]
    for tile in found:
        if int(kept[tile.rows.seen, tile.columns.seen].sum()) < FEWEST:
            height, width = (span.high - span.low for span in (tile.rows, tile.columns))
            place = f"{width}×{height} pixels at row {tile.rows.low}, column {tile.columns.low}"
            remedy = "make the hole or the picture smaller"
            raise TaskRefused(f"of {place} nearly none is kept: there is nothing to go by; {remedy}")
    return found
