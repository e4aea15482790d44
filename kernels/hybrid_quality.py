"""How well a hybrid does its two jobs, in one number each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.gaussian import gaussian_taps
from kernels.measuring import decibels
from kernels.shifted_blur import shifted_blur
from kernels.viewing import from_afar

if TYPE_CHECKING:
    from torch import Tensor

SIGMA, RADIUS = 3.0, 12  # of the blur that is taken away to leave the fine detail
AFAR = 8  # times as far away
ROWS = 256


def near_correlation(picture: Tensor, near: Tensor) -> float:
    """Pearson's correlation of the fine detail of two uint8 H×W×3 pictures: −1..1, over all pixels and channels.

    Fine detail is the picture less its Gaussian blur, σ = 3 px, 25 taps, the rim repeated. 0 where one has none.
    """
    moments = torch.zeros(5, dtype=torch.float64, device=picture.device)
    height = picture.shape[0]
    for top in range(0, height, ROWS):
        rows = torch.arange(top - RADIUS, min(top + ROWS, height) + RADIUS, device=picture.device)
        rows = rows.clamp_(0, height - 1)
        moments += _moments(_detail(picture[rows]), _detail(near[rows]))
    one, other, squares, other_squares, products = (moments / picture.numel()).tolist()
    spread = (squares - one**2) * (other_squares - other**2)
    return (products - one * other) / spread**0.5 if spread > 1e-12 else 0.0


def far_psnr(picture: Tensor, far: Tensor, gamma: float) -> float:
    """PSNR of two uint8 H×W×3 pictures seen from eight times as far away, in decibels; +∞ if they then are equal.

    Both are averaged in light over cells of 8×8 pixels; the levels of these means are compared, unrounded.
    """
    difference = from_afar(picture, AFAR, gamma) - from_afar(far, AFAR, gamma)
    return decibels(float(difference.double().square().mean()))


def _detail(rows: Tensor) -> Tensor:
    """The fine detail of h×W×3 rows without the first and last RADIUS of them: float32 3×(h − 2·RADIUS)×W."""
    planes = rows.permute(2, 0, 1).float()
    wide = F.pad(planes, (RADIUS, RADIUS, 0, 0), mode="replicate")
    blurred = shifted_blur(wide, gaussian_taps(SIGMA, 2 * RADIUS + 1))
    return (planes - blurred[:, :, RADIUS:-RADIUS])[:, RADIUS:-RADIUS]


def _moments(one: Tensor, other: Tensor) -> Tensor:
    """Σa, Σb, Σa², Σb², Σab in float64."""
    rows = torch.stack((one, other, one * one, other * other, one * other)).sum(3)
    return rows.double().sum((1, 2))
