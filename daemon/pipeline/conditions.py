"""`when:` of a rule, tested on a picture. Pure: each function gives the reason for skipping it, or None."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.model import Conditions


def unfit_size(when: Conditions, width: int, height: int) -> str | None:
    """Why a picture of this size, as displayed, is not wanted."""
    bounds = (
        ("width", width, when.min_width, when.max_width),
        ("height", height, when.min_height, when.max_height),
    )
    for name, value, low, high in bounds:
        if low is not None and value < low:
            return f"{name} {value} < min_{name} {low}"
        if high is not None and value > high:
            return f"{name} {value} > max_{name} {high}"
    return None


def unfit_color(when: Conditions, pixels: NDArray[np.uint8]) -> str | None:
    """Why a picture (H×W×3) is not wanted for its colour; gray is: all three channels equal everywhere."""
    if when.color is None:
        return None
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    colored = not (np.array_equal(red, green) and np.array_equal(green, blue))
    if colored == when.color:
        return None
    return "gray, and the rule wants color: true" if when.color else "in colour, and the rule wants color: false"
