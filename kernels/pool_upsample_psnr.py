"""How much of a picture survives pooling: the study of U-Net skip connections (seed 002, mission S3), in one pass.

T is the true picture. An input is pooled to x, one value for each cell, and x enlarged again is compared with T. The
enlarged picture is never made. Let S be the sum of T over a cell and n its pixels. In each cell T scatters about its
own mean S/n, and there the squared error splits (as a moment of inertia does) into the scatter and the distance of x:

    Σ (T − x)²  =  Σ T² − Σ S²/n  +  Σ n·(S/n − x)²
     pixels        pixels   cells        cells

So the pixels are read once, for Σ T² and S. The sums of one scale add up to those of the next.

 - true: x = S/n, and its distance is 0.
 - gray: x is the luma of S/n, since luma and pooling may change places. See `_from_luma`.
 - mosaic: x = B·M·Bᵀ, with M the means over cells of 16 and B a matrix known in advance. See
   kernels/blurred_mosaic.py.

Levels are whole, so S and Σ T² are exact, and a picture that pooling leaves as it is has an error of exactly 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.blurred_mosaic import distance_from_mosaic
from kernels.cell_sums import PRODUCTS, CellSums
from kernels.color import LUMA
from kernels.picture import Picture
from kernels.resize import square_levels
from kernels.spec import Choices, Flag, Integer, Integers, Measures, Series, Values, measurement

if TYPE_CHECKING:
    from torch import Tensor

PAIRS = PRODUCTS[3:]  # of channels
GRAY_FROM = 0.995  # mean of the 3×3 channel correlation matrix: the seed's bound between colour and gray
NOTHING = 1e-13  # a mean squared error below is rounding; one value a level off in the largest picture makes 3e-13


def _series(values: Values, before: str) -> tuple[Series, ...]:
    inputs, scales = values["inputs"], values["scales"]
    assert isinstance(inputs, tuple) and isinstance(scales, tuple)
    return tuple(Series(str(name), scale) for name in inputs for scale in scales if isinstance(scale, int))


def _side(values: Values) -> int:
    size = values["size"]
    assert isinstance(size, int)
    return size


def _gray(values: Values, correlation: float) -> str | None:
    if not values["color_only"] or correlation < GRAY_FROM:
        return None
    return f"gray: channel correlation {correlation:.3f} ≥ {GRAY_FROM}"


@measurement(
    "pool_upsample_psnr",
    Measures(_series, _gray, side=_side),
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
    sums = CellSums(square_levels(picture, size), size)
    products = torch.stack([sums.products(scale) for scale in scales], 1)
    scatter = _squares(sums.products(1))[:, None] - _squares(products)
    distances = {"gray": lambda: _from_luma(products), "mosaic": lambda: distance_from_mosaic(sums, scales)}
    squares = [scatter + distances[name]() if name in distances else scatter for name in inputs]
    errors = torch.cat(squares, 1) / (65025.0 * 3 * size * size)
    kept = torch.where(errors > NOTHING, errors, torch.zeros_like(errors))
    return torch.cat((kept, _correlation(sums)[:, None]), 1).float()


def _from_luma(products: Tensor) -> Tensor:
    """Σ n·(m − luma(m))² over cells and channels, m = S/n: float64 N×scales, from Σ S·Sᵀ/n = Σ n·m·mᵀ.

    With luma weights l, Σc (mc − luma)² = Σ_{i<j} (li + lj − 3·li·lj)·(mi − mj)²; all three weights are positive, so a
    gray picture has 0 and nothing cancels.
    """
    luma = [thousandths / 1000 for thousandths in LUMA]
    weights = [luma[i] + luma[j] - 3 * luma[i] * luma[j] for i, j in PAIRS]
    return _squared_differences(products) @ torch.tensor(weights, dtype=torch.float64)


def _correlation(sums: CellSums) -> Tensor:
    """The mean of the 3×3 correlation matrix of the channels: float64 N.

    Where it is not defined, a channel without contrast correlates with its equals and with no other.
    """
    mean, products = sums.channel_means(), sums.products(1) / sums.size**2
    first, second = (torch.tensor(side) for side in zip(*PRODUCTS, strict=True))
    covariance = products - mean.index_select(1, first) * mean.index_select(1, second)
    variance, paired = covariance[:, :3].clamp(min=0), covariance[:, 3:]
    spread = (variance.index_select(1, first[3:]) * variance.index_select(1, second[3:])).sqrt()
    equal = (_squared_differences(products) == 0).double()
    correlations = torch.where(spread > 1e-9, paired / spread, equal)
    return (3 + 2 * correlations.sum(1)) / 9


def _squares(products: Tensor) -> Tensor:
    """The squares of all channels together, from …×6 products."""
    return products @ torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)


def _squared_differences(products: Tensor) -> Tensor:
    """Σ (ci − cj)² of the PAIRS of channels, from …×6 products: …×3."""
    columns = [[0.0] * len(PRODUCTS) for _ in PAIRS]
    for pair, (i, j) in enumerate(PAIRS):
        columns[pair][i], columns[pair][j], columns[pair][3 + pair] = 1, 1, -2
    return products @ torch.tensor(columns, dtype=torch.float64).T
