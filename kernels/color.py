"""Colour: luma."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.picture import Picture
from kernels.spec import operator

if TYPE_CHECKING:
    from torch import Tensor


def luma(levels: Tensor) -> Tensor:
    """The luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) of N×3×H×W levels, in three channels.

    The weights are taken in thousandths: whole levels then add up exactly in float32, and one division rounds once.
    """
    red, green, blue = levels[:, 0:1], levels[:, 1:2], levels[:, 2:3]
    return ((299 * red + 587 * green + 114 * blue) / 1000).expand(-1, 3, -1, -1)


@operator("grayscale")
def grayscale(picture: Picture) -> Picture:
    """Luma 0.299 R + 0.587 G + 0.114 B in all three channels."""
    return picture.map(luma)
