"""Real photographs, small enough to go through every test."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image

from tests.codec.codec_pictures import Array

NAMES = ("astronaut", "coffee", "chelsea")


def photographs() -> dict[str, Array]:
    """Those that come with scikit-image, uint8 H×W×3."""
    return {name: np.ascontiguousarray(getattr(skimage.data, name)()) for name in NAMES}


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A portrait, RGB, 150 wide × 110 high: odd multiples of no block size."""
    return Image.fromarray(photographs()["astronaut"][60:170, 150:300])


@pytest.fixture(scope="session", params=NAMES)
def photograph(request: pytest.FixtureRequest) -> Array:
    """Three photographs at their own size, uint8 H×W×3."""
    return photographs()[request.param]


@pytest.fixture(scope="session")
def gradient(photo: Image.Image) -> Array:
    """An alpha channel as large as `photo` with every level in it, uint8 H×W."""
    width, height = photo.size
    return (np.arange(width * height) // 61 % 256).astype(np.uint8).reshape(height, width)


@pytest.fixture(scope="session")
def sheer(photo: Image.Image, gradient: Array) -> Image.Image:
    """`photo` with that alpha, RGBA."""
    image = photo.copy()
    image.putalpha(Image.fromarray(gradient))
    return image
