"""Sums over the cells of square pictures, scale by scale: what all of pool_upsample_psnr is computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import F, np, torch
from kernels.sampling import cell_count

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Floats: TypeAlias = "NDArray[np.float64]"

PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # of channels; the last three are the pairs of channels
EXACT = 256  # squares of levels that may be added in float32 without rounding: 256 · 255² < 2²⁴
EXACT_SCALE = 256  # side of the largest cell whose levels may be added so: 256² · 255 < 2²⁴


class CellSums:
    """S, the sums of each channel over the cells of a scale. Every scale is made once, from a finer one.

    `levels` are N×3×size×size whole levels. They are sums over cells of one pixel.
    """

    def __init__(self, levels: Tensor, size: int) -> None:
        self.size = size
        self._sums = {1: levels}
        self._products: dict[int, Tensor] = {}

    def at(self, scale: int) -> Tensor:
        """S, exact: N×3×g×g with g = ⌈size/scale⌉; float32, and float64 where that is too short."""
        if scale not in self._sums:
            step = _largest_prime(scale)
            finer = self.at(scale // step)
            self._sums[scale] = _summed(finer if scale <= EXACT_SCALE else finer.double(), step)
        return self._sums[scale]

    def products(self, scale: int) -> Tensor:
        """Σ S·Sᵀ/n over the cells, S a vector of three channels: the six entries named by PRODUCTS, float64 N×6."""
        if scale not in self._products:
            self._products[scale] = _pixel_products(self.at(1)) if scale == 1 else self._cell_products(scale)
        return self._products[scale]

    def _cell_products(self, scale: int) -> Tensor:
        sums = self.at(scale).double().flatten(2)
        whole = self.size % scale == 0
        matrix = (sums if whole else self.means(scale).flatten(2)) @ sums.transpose(1, 2)
        entries = matrix.flatten(1).index_select(1, torch.tensor([3 * i + j for i, j in PRODUCTS]))
        return entries / scale**2 if whole else entries

    def means(self, scale: int) -> Tensor:
        """S/n, the mean of each cell: float64 N×3×g×g."""
        pixels = pixels_along(self.size, scale)
        return self.at(scale).double() / torch.tensor(np.outer(pixels, pixels))

    def channel_means(self) -> Tensor:
        """The mean of each channel: float64 N×3."""
        # From any coarse scale: few numbers to add, and S is exact.
        return self.at(16).double().sum((2, 3)) / self.size**2


def pixels_along(size: int, scale: int) -> Floats:
    """How many of `size` pixels lie in each cell along one axis; the last cell may be partial."""
    return np.minimum(size - np.arange(cell_count(size, scale)) * scale, scale).astype(np.float64)


def _summed(sums: Tensor, step: int) -> Tensor:
    """Sums over step × step neighbours: N×3×g×g to N×3×⌈g/step⌉×⌈g/step⌉; beyond the rim lies nothing."""
    batch, channels, side, _ = sums.shape
    count = cell_count(side, step)
    if beyond := count * step - side:
        sums = F.pad(sums, (0, beyond, 0, beyond))
    if step == 2 and sums.dtype == torch.float32:  # ONNX Runtime pools no float64
        return F.avg_pool2d(sums, 2) * 4  # exact, and five times as fast as two sums over short axes
    return sums.reshape(batch, channels, count, step, count, step).sum((3, 5))


def _pixel_products(levels: Tensor) -> Tensor:
    """Σ T·Tᵀ over the pixels of N×3×h×w whole levels: float64 N×6. Twice as fast as a product of float64 planes."""
    flat = levels.flatten(2)
    if beyond := -flat.shape[2] % EXACT:
        flat = F.pad(flat, (0, beyond))
    rows = flat.reshape(flat.shape[0], 3, -1, EXACT)
    squares = (rows * rows).sum(3).double().sum(2)
    red, green, blue = (rows[:, channel : channel + 1] for channel in range(3))
    crossed = [(one * other).sum(3).double().sum(2) for one, other in ((red, green), (red, blue), (green, blue))]
    return torch.cat((squares, *crossed), 1)


def _largest_prime(number: int) -> int:
    prime, factor = 1, 2
    while number > 1:
        if number % factor == 0:
            prime, number = factor, number // factor
        else:
            factor += 1
    return prime
