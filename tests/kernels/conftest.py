"""Photographs to compute on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage.data


@pytest.fixture(scope="session", params=["astronaut", "coffee", "chelsea"])
def photograph(request: pytest.FixtureRequest) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A real picture, uint8 H×W×3; 512×512, 400×600 and 300×451."""
    picture: np.ndarray[Any, np.dtype[np.uint8]] = getattr(skimage.data, request.param)()
    return picture
