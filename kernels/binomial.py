"""The 5×5 binomial blur of the mosaic (seed 000), evaluated as mission S1 writes it: in float64 on the scale 0..1.

One value in 256 of this blur lies exactly half-way between two levels, and on the scale 0..1 the last bit of the sum
decides which way it goes. Measured on four photographs: NumPy, SciPy, PyTorch and OpenCV, each in float64, agree with
one another on every value; exact arithmetic differs from them on 0.18 % of the values, float32 likewise. So the sum is
made as they make it, 25 products in reading order. It runs over cells, one in `block`² pixels, and costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.sampling import reflected

if TYPE_CHECKING:
    from torch import Tensor

BINOMIAL = (1, 4, 6, 4, 1)
REACH = len(BINOMIAL) // 2


def binomial_blur(levels: Tensor, border: str) -> Tensor:
    """Levels, N×C×h×w, blurred: float64 levels of the same shape. `border` is "reflect" or "zero".

    A side of one or two values cannot be mirrored; its rim is repeated instead.
    """
    height, width = levels.shape[2:]
    beyond = _framed(levels.double() / 255, border)
    total = None
    for row, down in enumerate(BINOMIAL):
        band = beyond.narrow(2, row, height)
        for column, across in enumerate(BINOMIAL):
            term = band.narrow(3, column, width) * (down * across / 256)
            total = term if total is None else total + term
    assert total is not None
    return total * 255


def _framed(values: Tensor, border: str) -> Tensor:
    if border == "zero":
        return F.pad(values, (REACH, REACH, REACH, REACH))
    height, width = values.shape[2:]
    rows = reflected(torch.arange(height + 2 * REACH) - REACH, height, REACH)
    columns = reflected(torch.arange(width + 2 * REACH) - REACH, width, REACH)
    return values.index_select(2, rows).index_select(3, columns)
