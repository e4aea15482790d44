"""Small pictures for a page: resized, blurred, and as the bytes of a JPEG or PNG."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daemon.codec.values import Pixels

_JPEG_QUALITY = 85
_PNG_SIDE = 64
"""Up to this many pixels a side a PNG is used: few pixels, each of which is seen enlarged, must be exact."""


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Uint8 H×W or H×W×3 at another size in pixels, by antialiased Lanczos."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def averaged(levels: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """The mean of each scale × scale cell of float32 H×W×C; `scale` divides both sides."""
    height, width, channels = levels.shape
    size = (width // scale, height // scale)
    means = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)  # a plain mean where the factor is whole
    return np.asarray(means, np.float32).reshape(height // scale, width // scale, channels)


def blurred(levels: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Float32 H×W×3 blurred by a Gaussian of `sigma` pixels, cut at 4σ, its border reflected without the rim."""
    taps = 2 * int(np.ceil(4 * sigma)) + 1
    blurred = cv2.GaussianBlur(levels, (taps, taps), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)


def encoded(pixels: Pixels) -> tuple[str, bytes]:
    """Media type and bytes of uint8 H×W or H×W×3: PNG up to 64 pixels a side, beyond that JPEG."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if max(image.size) <= _PNG_SIDE:
        image.save(buffer, "PNG")
        return "image/png", buffer.getvalue()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return "image/jpeg", buffer.getvalue()
