"""What a network expects as its input, and how weights are turned into those of one convention. Torch-free.

The canonical input is a picture's levels, 0 to 255, red first, minus a mean of each channel. Subtracting a mean and
dividing by a deviation commute with zero padding only while padding comes after the subtraction, as in all of these;
so whatever else a convention asks for (the order of channels, the range, the deviation) is folded into the kernels of
the first layer, exactly.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from kernels.backend import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

Mean = tuple[float, float, float]
"""Levels of red, green, blue."""

VGG_MEAN: Mean = (123.68, 116.779, 103.939)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TORCHVISION_MEAN: Mean = (123.675, 116.28, 103.53)  # 255 times the above


class Convention(enum.StrEnum):
    """Whose input the weights were trained with."""

    CAFFE = "caffe"  # blue first, levels minus VGG_MEAN
    TORCHVISION = "torchvision"  # red first, 0 to 1, minus a mean, divided by a deviation
    MATCONVNET = "matconvnet"  # red first, levels minus the mean that the file tells


def fold(kernels: Array, convention: Convention) -> Array:
    """The first layer's kernels, (O, 3, 3, 3), for the canonical input."""
    if convention is Convention.CAFFE:
        return np.ascontiguousarray(kernels[:, ::-1])
    if convention is Convention.TORCHVISION:
        deviation = 255 * np.array(_IMAGENET_STD)
        return np.asarray(kernels / deviation[:, None, None], np.float32)
    return kernels


def mean_of(convention: Convention) -> Mean:
    """What is subtracted from the levels; MatConvNet's files tell their own."""
    return _TORCHVISION_MEAN if convention is Convention.TORCHVISION else VGG_MEAN


# The kernels of the first layer do not tell the two conventions apart by their size alone: trained on levels (Caffe's
# VGG-16) they are about 0.3, trained on numbers around one (torchvision's VGG-19) about as much, for what follows
# makes up for it. Only far outside of that is one of them impossible, as where one was computed from the other.
_TOO_WEAK_FOR_UNITS, _TOO_STRONG_FOR_LEVELS = 0.01, 3.0
# As PyTorch prints the first kernel of torchvision's VGG-19: however the file was saved again, this is the network.
_TORCHVISION_FIRST = (
    (-0.053474, -0.049257, -0.067942), (0.015314, 0.045068, 0.0021444), (0.036226, 0.019999, 0.019864),
)  # fmt: skip
_ROUNDED = 5e-4  # a rounding to bfloat16 of the largest of them takes half of that


def told_by(kernels: Array) -> Convention | None:
    """Which of Caffe's and torchvision's conventions the first layer's kernels are made for; None: either may be."""
    if np.allclose(kernels[0, 0], _TORCHVISION_FIRST, rtol=0, atol=_ROUNDED):
        return Convention.TORCHVISION
    size = float(np.sqrt(np.mean(np.square(kernels, dtype=np.float64))))
    if 0 < size < _TOO_WEAK_FOR_UNITS:
        return Convention.CAFFE
    return Convention.TORCHVISION if size > _TOO_STRONG_FOR_LEVELS else None
