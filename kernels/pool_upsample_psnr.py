"""How much of a picture survives pooling: the study of U-Net skip connections (seed 002, mission S3), in one pass.

Nothing is upsampled. With S the sums of the true picture T over the cells of one scale, n their sizes, and x the means
of any input over them, the squared error of the enlarged x splits, since in each cell T scatters about its own mean:
Σ(T − x)² = ΣT² − ΣS²/n + Σ n·(S/n − x)². So a scale needs only its cell sums, few beside the pixels, and the sums of
one scale are summed again for the next.

 - true: x = S/n, and the last term is 0.
 - gray: x is the luma of S/n, since luma and pooling commute; the last term is a quadratic form in ΣS·Sᵀ/n, 3×3.
 - mosaic: x = B·M·Bᵀ, M the means over cells of 16 and B the rows that blurring and pooling make of them; the last
   term is expanded, so that only Bᵀ·S·B, as small as M, is computed from pixels.

Levels are whole, so S and all sums of squares are exact, and equal pictures have an error of exactly 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import F, np, torch
from kernels.gaussian import gaussian_taps
from kernels.picture import Picture
from kernels.resize import square_levels
from kernels.sampling import cell_count
from kernels.spec import Choices, Flag, Integer, Integers, Measures, Series, Values, measurement

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Floats: TypeAlias = "NDArray[np.float64]"

PAIRS = ((0, 1), (0, 2), (1, 2))  # of channels
LUMA = (0.299, 0.587, 0.114)
MOSAIC_BLOCK, MOSAIC_SIGMA, MOSAIC_TAPS = 16, 4, 33
GRAY_FROM = 0.995  # mean of the 3×3 channel correlation matrix: the seed's bound between colour and gray
EXACT = 256  # squares of levels that may be added in float32 without rounding: 256 · 255² < 2²⁴
NOTHING = 1e-13  # of one value in 10⁵ a thousandth of a level: a mean squared error below is rounding, and means equal


def _series(values: Values, before: str) -> tuple[Series, ...]:
    inputs, scales = values["inputs"], values["scales"]
    assert isinstance(inputs, tuple) and isinstance(scales, tuple)
    return tuple(Series(str(name), int(scale)) for name in inputs for scale in scales)


def _gray(values: Values, correlation: float) -> str | None:
    if not values["color_only"] or correlation < GRAY_FROM:
        return None
    return f"gray: channel correlation {correlation:.3f} ≥ {GRAY_FROM}"


@measurement(
    "pool_upsample_psnr",
    Measures(_series, _gray),
    scales=Integers((1, 2, 4, 8, 16, 32), low=1, high=1024, unit="px", doc="sides of the squares that are averaged"),
    size=Integer(256, low=2, high=4096, unit="px", doc="both sides the picture is resized to (Lanczos) beforehand"),
    inputs=Choices(
        ("true", "gray", "mosaic"), ("true", "gray", "mosaic"), doc="what is pooled and compared with the true picture"
    ),
    color_only=Flag(True, doc="skip gray pictures: mean channel correlation of 0.995 or more"),
)
def pool_upsample_psnr(
    picture: Picture,
    source: Picture,
    *,
    scales: tuple[int, ...],
    size: int,
    inputs: tuple[str, ...],
    color_only: bool,
) -> Tensor:
    """PSNR against the true colour picture after average pooling and nearest-neighbour upsampling, per input and scale.

    The inputs are the picture itself (`true`), its luma in three channels (`gray`), and `mosaic`: pooled and upsampled
    by 16, then blurred with a Gaussian of σ = 4 and reflected border. Where a scale does not divide the size, the last
    cells are means of what is left. A mean PSNR is the mean over pictures, each 10·log10(1/MSE) over all its pixels
    and channels.
    """
    sums = _Sums(square_levels(picture, size), size)
    products = torch.stack([sums.products(scale) for scale in scales], 1)
    within = _trace(sums.products(1))[:, None] - _trace(products)
    beyond = {"gray": lambda: _from_luma(products), "mosaic": lambda: _from_mosaic(sums, scales)}
    squares = [within + beyond[name]() if name in beyond else within for name in inputs]
    errors = torch.cat(squares, 1) / (65025.0 * 3 * size * size)
    kept = torch.where(errors > NOTHING, errors, torch.zeros_like(errors))
    return torch.cat((kept, _correlation(sums)[:, None]), 1).float()


class _Sums:
    """Sums over the cells of each scale, and what follows from them; each is made once. `levels` are whole."""

    def __init__(self, levels: Tensor, size: int) -> None:
        self.size = size
        self._sums = {1: levels}
        self._products: dict[int, Tensor] = {}

    def at(self, scale: int) -> Tensor:
        """Sums over cells of `scale` × `scale`: float32 N×3×g×g; exact up to cells of 256 × 256."""
        if scale not in self._sums:
            step = _largest_prime(scale)
            self._sums[scale] = _summed(self.at(scale // step), step)
        return self._sums[scale]

    def products(self, scale: int) -> Tensor:
        """ΣS·Sᵀ/n over the cells: float64 N×3×3, channel by channel."""
        if scale not in self._products:
            self._products[scale] = _pixel_products(self.at(1)) if scale == 1 else self._cell_products(scale)
        return self._products[scale]

    def _cell_products(self, scale: int) -> Tensor:
        sums = self.at(scale).double()
        if self.size % scale == 0:
            flat = sums.flatten(2)
            return flat @ flat.transpose(1, 2) / scale**2
        pixels = torch.tensor(_pixels(self.size, scale))
        return (sums / (pixels[:, None] * pixels)).flatten(2) @ sums.flatten(2).transpose(1, 2)

    def means(self) -> Tensor:
        """The mean of each channel: float64 N×3."""
        return self.at(MOSAIC_BLOCK).double().sum((2, 3)) / self.size**2

    def cell_means(self) -> Tensor:
        """The means over the mosaic's cells: float64 N×3×g×g."""
        pixels = _pixels(self.size, MOSAIC_BLOCK)
        return self.at(MOSAIC_BLOCK).double() / torch.tensor(np.outer(pixels, pixels))


def _summed(sums: Tensor, step: int) -> Tensor:
    """Sums over step × step neighbours: N×3×g×g to N×3×⌈g/step⌉×⌈g/step⌉; beyond the rim lies nothing."""
    batch, channels, side, _ = sums.shape
    count = cell_count(side, step)
    if beyond := count * step - side:
        sums = F.pad(sums, (0, beyond, 0, beyond))
    if step == 2:
        return F.avg_pool2d(sums, 2) * 4  # exact, and five times as fast as two sums over short axes
    return sums.reshape(batch, channels, count, step, count, step).sum((3, 5))


def _pixel_products(levels: Tensor) -> Tensor:
    """ΣT·Tᵀ over the pixels of N×3×h×w whole levels: float64 N×3×3. Twice as fast as the product of float64 planes."""
    flat = levels.flatten(2)
    if beyond := -flat.shape[2] % EXACT:
        flat = F.pad(flat, (0, beyond))
    rows = flat.reshape(flat.shape[0], 3, -1, EXACT)
    squares = (rows * rows).sum(3).double().sum(2)
    red, green, blue = rows[:, 0], rows[:, 1], rows[:, 2]
    rg, rb, gb = ((one * other).sum(2).double().sum(1) for one, other in ((red, green), (red, blue), (green, blue)))
    entries = (squares[:, 0], rg, rb, rg, squares[:, 1], gb, rb, gb, squares[:, 2])
    return torch.stack(entries, 1).reshape(-1, 3, 3)


def _from_luma(products: Tensor) -> Tensor:
    """Σ n·(m − luma(m))² over cells and channels, from ΣS·Sᵀ/n: a sum over the differences between the channels.

    With luma weights l, Σc (mc − luma)² = Σ_{i<j} (li + lj − 3·li·lj)·(mi − mj)²; all three weights are positive, so a
    gray picture has 0 and nothing cancels.
    """
    weights = [LUMA[i] + LUMA[j] - 3 * LUMA[i] * LUMA[j] for i, j in PAIRS]
    return (_squared_differences(products) * torch.tensor(weights, dtype=torch.float64)).sum(-1)


def _from_mosaic(sums: _Sums, scales: tuple[int, ...]) -> Tensor:
    """Σ n·(S/n − B·M·Bᵀ)² over cells and channels: float64 N×scales, expanded about the mean of each channel."""
    size, means = sums.size, sums.means()
    rows = {scale: _pooled(_blurred_rows(size), size, scale) for scale in scales}
    pixels = {scale: _pixels(size, scale)[:, None] for scale in scales}
    projected = torch.stack([_projected(sums.at(scale), rows[scale]) for scale in scales], 1)
    grams = torch.tensor(np.stack([rows[scale].T @ (rows[scale] * pixels[scale]) for scale in scales]))[:, None]
    weight = torch.tensor(_blurred_rows(size).sum(0))
    about = means[:, None, :, None, None]
    mosaic = sums.cell_means()[:, None] - about
    crossed = (grams @ mosaic @ grams - 2 * (projected - about * weight[:, None] * weight)) * mosaic
    squares = torch.stack([sums.products(scale).diagonal(dim1=1, dim2=2) for scale in scales], 1)
    scatter = squares - size**2 * (means * means)[:, None]
    return (scatter.sum(2) + crossed.sum((2, 3, 4))).clamp(min=0)


def _projected(sums: Tensor, rows: Floats) -> Tensor:
    """Bᵀ·S·B: float64 N×3×g×g, computed in float32, the last bits of which the mean squared error does not see."""
    small = torch.tensor(rows, dtype=torch.float32)
    return (small.T @ (sums @ small)).double()


def _correlation(sums: _Sums) -> Tensor:
    """The mean of the 3×3 correlation matrix of the channels: float64 N.

    Where it is not defined, a channel without contrast correlates with its equals and with no other.
    """
    means, products = sums.means(), sums.products(1) / sums.size**2
    covariance = products - means[:, :, None] * means[:, None, :]
    first, second = (torch.tensor(side) for side in zip(*PAIRS, strict=True))
    variance = covariance.diagonal(dim1=1, dim2=2)
    spread = (variance[:, first] * variance[:, second]).clamp(min=0).sqrt()
    equal = (_squared_differences(products) == 0).double()
    correlations = torch.where(spread > 1e-9, covariance[:, first, second] / spread, equal)
    return (3 + 2 * correlations.sum(1)) / 9


def _squared_differences(products: Tensor) -> Tensor:
    """Σ (ci − cj)² of the pairs of channels, from …×3×3 products: …×3."""
    squares = products.diagonal(dim1=-2, dim2=-1)
    first, second = (torch.tensor(side) for side in zip(*PAIRS, strict=True))
    return squares[..., first] + squares[..., second] - 2 * products[..., first, second]


def _trace(products: Tensor) -> Tensor:
    return products.diagonal(dim1=-2, dim2=-1).sum(-1)


# What depends on the size alone is computed here, not in the graph.


def _pixels(size: int, scale: int) -> Floats:
    """How many of `size` pixels lie in each cell along one axis."""
    return np.minimum(size - np.arange(cell_count(size, scale)) * scale, scale).astype(np.float64)


def _blurred_rows(size: int) -> Floats:
    """What pooling, enlarging and blurring make of the means of the mosaic's cells: size × ⌈size/16⌉, rows sum to 1.

    As in `gaussian_blur`: a picture too small to be mirrored as far as the taps reach has its rim repeated.
    """
    radius = MOSAIC_TAPS // 2
    beyond = np.pad(np.arange(size), radius, mode="reflect" if size > radius else "edge")
    rows = np.zeros((size, cell_count(size, MOSAIC_BLOCK)))
    for offset, tap in enumerate(gaussian_taps(MOSAIC_SIGMA, MOSAIC_TAPS)):
        np.add.at(rows, (np.arange(size), beyond[offset : offset + size] // MOSAIC_BLOCK), tap)
    return rows


def _pooled(rows: Floats, size: int, scale: int) -> Floats:
    """The means of the rows of each cell: ⌈size/scale⌉ rows."""
    sums: Floats = np.add.reduceat(rows, np.arange(0, size, scale))
    return sums / _pixels(size, scale)[:, None]


def _largest_prime(number: int) -> int:
    prime, factor = 1, 2
    while number > 1:
        if number % factor == 0:
            prime, number = factor, number // factor
        else:
            factor += 1
    return prime
