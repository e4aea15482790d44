"""Resizing with the Lanczos filter, antialiased as Pillow defines it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from kernels.backend import torch
from kernels.banded import banded_product
from kernels.picture import Picture
from kernels.sampling import cell_count
from kernels.spec import Integer, ParameterError, Values, operator

if TYPE_CHECKING:
    from torch import Tensor

LOBES = 3
BLOCK = 16  # output rows computed together


def lanczos(x: Tensor) -> Tensor:
    """The Lanczos kernel with a = 3: sinc(x)·sinc(x/3) for |x| < 3, else 0."""
    one, zero = torch.ones((), dtype=x.dtype), torch.zeros((), dtype=x.dtype)
    angle = math.pi * torch.where(x == 0, one, x)
    lobes = LOBES * torch.sin(angle) * torch.sin(angle / LOBES) / angle**2
    return torch.where(x == 0, one, torch.where(x.abs() < LOBES, lobes, zero))


def resampling(n: int, target: int, blocks: int) -> tuple[Tensor, Tensor]:
    """How `target` pixels are made from `n`: the rows each block reads (blocks·K), their weights (blocks×BLOCK×K).

    As in Pillow's resampling: output j has its centre at (j + ½)·n/target, the kernel is widened by n/target when
    shrinking, cut at the rim, and normalised. Computed in float64. Past `target` the last block repeats itself.
    """
    one = torch.ones((), dtype=torch.float64)
    scale = one * n / (one * target)
    widening = torch.clamp(scale, min=1.0)
    outputs = torch.arange(blocks)[:, None] * BLOCK + torch.arange(BLOCK)
    centres = (torch.clamp(outputs, max=target - 1).double() + 0.5) * scale
    # A block spans 15 steps and 3 lobes at either end, and one pixel more for each rounding, within the picture.
    span = ((BLOCK + 2 * LOBES) * n) // target + 2 * LOBES + 2
    length: int = torch.sym_min(span, n)  # type: ignore[no-untyped-call]  # min() would fix a symbolic size
    starts = torch.floor(centres[:, :1] - LOBES * widening).long()
    indices = torch.clamp(starts, min=0, max=n - length) + torch.arange(length)
    weights = lanczos((indices[:, None] + 0.5 - centres[:, :, None]) / widening)
    return indices.flatten(), (weights / weights.sum(2, keepdim=True)).float()


def resized_rows(picture: Picture, target: int, blocks: int) -> Tensor:
    """The picture at `target` rows: float32 N×3×target×W levels; with 0 `blocks` none of them, at no cost."""
    rows, weights = resampling(picture.height, target, blocks)
    return banded_product(weights, picture.settled().take(rows).levels())[:, :, :target]


def resized(picture: Picture, height: int, width: int) -> Picture:
    """The picture at another size."""
    columns = Picture(resized_rows(picture, height, cell_count(height, BLOCK)).transpose(2, 3))
    return Picture(resized_rows(columns, width, cell_count(width, BLOCK)).transpose(2, 3))


def square_levels(picture: Picture, size: int) -> Tensor:
    """The picture at `size` × `size` as it would be saved: whole levels, float32 N×3×size×size.

    Resizing a picture to the size it has changes nothing and costs ten times what measuring it does, and a data set
    often has its size already. A graph that branches could not be traced through; instead both ways stand in it, the
    resized pixels first and the picture's own behind them, and of these the first size² are taken: the resampling of
    a picture that fits already runs over 0 blocks and leaves nothing in front. `size` is a constant.
    """
    height, width = picture.height, picture.width
    unfit: int = torch.sym_min(1, (height - size) ** 2 + (width - size) ** 2)  # type: ignore[no-untyped-call]
    blocks = cell_count(size, BLOCK) * unfit
    columns = resized_rows(picture, size, blocks).transpose(2, 3)
    levels = resized_rows(Picture(columns), size, blocks).transpose(2, 3).round().clamp(0, 255)
    rows: int = torch.sym_min(height, size)  # type: ignore[no-untyped-call]
    own = picture.bytes().index_select(1, torch.arange(rows)).permute(0, 3, 1, 2).reshape(-1)
    both = torch.cat((levels.to(torch.uint8).reshape(-1), own))
    batch = picture.values.shape[0]
    return both.narrow(0, 0, batch * 3 * size * size).reshape(batch, 3, size, size).float()


def fitted(side: int, other: int, target: int) -> int:
    """`side` scaled by target/other, rounded half up, at least 1; all may be symbolic, so without a branch."""
    rounded = (2 * side * target + other) // (2 * other)
    return rounded + 1 // (rounded + 1)


def _one_size(values: Values) -> None:
    if "size" in values and ("width" in values or "height" in values):
        raise ParameterError("size is given beside width or height", "give size, or width and height", "size")
    if not values:
        raise ParameterError("resize has no target", "give size, width or height")


def _fixed_size(values: Values) -> tuple[int | None, int | None]:
    width, height = (values.get(side, values.get("size")) for side in ("width", "height"))
    return cast("int | None", width), cast("int | None", height)


@operator(
    "resize",
    resizes=True,
    fixed_size=_fixed_size,
    check=_one_size,
    size=Integer(None, low=1, high=16384, unit="px", doc="both sides; the picture becomes square"),
    width=Integer(None, low=1, high=16384, unit="px", doc="alone, the height keeps the aspect ratio"),
    height=Integer(None, low=1, high=16384, unit="px", doc="alone, the width keeps the aspect ratio"),
)
def resize(
    picture: Picture, *, size: int | None = None, width: int | None = None, height: int | None = None
) -> Picture:
    """Resize with Lanczos, antialiased: `size` for a square, or `width` and `height`, one of which may be left out."""
    width, height = width or size, height or size
    if width is None:
        assert height is not None  # _one_size has seen to it
        width = fitted(picture.width, picture.height, height)
    if height is None:
        height = fitted(picture.height, picture.width, width)
    return resized(picture, height, width)
