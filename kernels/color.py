"""Colour: luma."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.picture import Picture
from kernels.spec import operator

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (299, 587, 114)  # thousandths of R, G and B (ITU-R BT.601)


def luma(levels: Tensor) -> Tensor:
    """The luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) of N×3×H×W levels, in three channels.

    The weights are taken in thousandths: whole levels then add up exactly in float32, and one division rounds once.
    """
    red, green, blue = (weight * levels[:, c : c + 1] for c, weight in enumerate(LUMA))
    return ((red + green + blue) / 1000).expand(-1, 3, -1, -1)


@operator("grayscale")
def grayscale(picture: Picture) -> Picture:
    """Luma 0.299 R + 0.587 G + 0.114 B in all three channels."""
    return picture.map(luma)
