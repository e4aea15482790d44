"""The peak signal-to-noise ratio, as the mean squared error that it is the logarithm of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.picture import Picture
from kernels.spec import Measures, Series, Values, measurement

if TYPE_CHECKING:
    from torch import Tensor


def _series(values: Values, before: str) -> tuple[Series, ...]:
    return (Series(before),)


@measurement("psnr", Measures(_series, same_size=True))
def psnr(picture: Picture, source: Picture) -> Tensor:
    """PSNR of the picture so far, as it would be written to a file, against the chain's input.

    PSNR = 10·log10(1/MSE) over all pixels and channels, in decibels; identical pictures have +∞. The picture goes on
    unchanged, so a chain may measure at several places.
    """
    height, width = picture.height, picture.width
    difference = (picture.bytes().float() - source.bytes().float()).reshape(-1, height, width * 3)
    # A row is added up in float32, which is 10⁻⁶ of it off at most; the rows in float64, lest that grows with the
    # height. TensorRT has no float64 and leaves these few numbers to CUDA.
    squares = (difference * difference).sum(2).double().sum(1, keepdim=True)
    return (squares / (65025.0 * 3 * height * width)).float()
