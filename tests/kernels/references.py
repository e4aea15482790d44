"""The operators a second time, in float64 NumPy, as their definitions read: whole loops over pixels, nothing shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16


def to_bytes(levels: Array) -> Bytes:
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)


def pad(levels: Array, radius: int, border: str) -> Array:
    """H×W×3 with `radius` pixels more on each side; reflection falls back to the rim for each axis by itself."""
    for axis in (0, 1):
        widths = [(radius, radius) if axis == a else (0, 0) for a in range(3)]
        if border == "zero":
            levels = np.pad(levels, widths)
        elif border == "reflect" and levels.shape[axis] > radius:
            levels = np.pad(levels, widths, mode="reflect")
        else:
            levels = np.pad(levels, widths, mode="edge")
    return levels


def convolve(levels: Array, kernel: Array, border: str) -> Array:
    """Every channel of H×W×3 under the K×K `kernel`."""
    size, (height, width, _) = len(kernel), levels.shape
    padded, total = pad(levels, size // 2, border), np.zeros_like(levels)
    for i in range(size):
        for j in range(size):
            total += kernel[i, j] * padded[i : i + height, j : j + width]
    return total


def separable(levels: Array, taps: Array, border: str) -> Array:
    """As `convolve` with the outer product of `taps`, one axis after the other."""
    height, width, _ = levels.shape
    padded = pad(levels, len(taps) // 2, border)
    rows, both = np.zeros((height, *padded.shape[1:])), np.zeros_like(levels)
    for i, tap in enumerate(taps):
        rows += tap * padded[i : i + height]
    for j, tap in enumerate(taps):
        both += tap * rows[:, j : j + width]
    return both


def cell_means(levels: Array, block: int) -> Array:
    height, width, _ = levels.shape
    rows = np.stack([levels[i : i + block].mean(axis=0) for i in range(0, height, block)])
    return np.stack([rows[:, j : j + block].mean(axis=1) for j in range(0, width, block)], axis=1)


def enlarge(small: Array, block: int, height: int, width: int) -> Array:
    return small.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]


def centre_rows(side: int, block: int) -> list[int]:
    return [min(i + block // 2, side - 1) for i in range(0, side, block)]


def mosaic(levels: Array, block: int = 16, border: str = "reflect", method: str = "sample") -> Array:
    height, width, _ = levels.shape
    if method == "average":
        small = cell_means(levels, block)
    else:
        small = levels[centre_rows(height, block)][:, centre_rows(width, block)]
    blurred = 255 * convolve(small / 255, np.outer(BINOMIAL, BINOMIAL), border)  # on 0..1, as S1 writes it
    return enlarge(blurred, block, height, width)


def pool_upsample(levels: Array, scale: int = 8) -> Array:
    return enlarge(cell_means(levels, scale), scale, levels.shape[0], levels.shape[1])


def grayscale(levels: Array) -> Array:
    luma = levels @ np.array([0.299, 0.587, 0.114])
    return np.repeat(luma[..., None], 3, axis=2)


def to_light(levels: Array) -> Array:
    v = levels / 255
    return 255 * np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def from_light(levels: Array) -> Array:
    v = levels / 255
    return 255 * np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


def gaussian_blur(
    levels: Array, sigma: float, kernel: int | None = None, border: str = "reflect", linear_light: bool = False
) -> Array:
    radius = int(np.ceil(4 * sigma)) if kernel is None else kernel // 2
    taps = np.exp(-(np.arange(-radius, radius + 1.0) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    if linear_light:
        return from_light(separable(to_light(levels), taps, border))
    return separable(levels, taps, border)


def study_inputs(picture: Bytes) -> dict[str, Array]:
    """The three inputs of the study (mission S3) at full size, on the scale 0..1; the first is the true picture."""
    true = picture / 255
    return {"true": true, "gray": grayscale(true), "mosaic": gaussian_blur(pool_upsample(true, 16), 4)}


def study_errors(picture: Bytes, scales: Sequence[int]) -> dict[tuple[str, int], float]:
    """The mean squared error of every input of the study at every scale."""
    inputs = study_inputs(picture)
    return {
        (name, scale): float(np.mean((pool_upsample(values, scale) - inputs["true"]) ** 2))
        for name, values in inputs.items()
        for scale in scales
    }


def correlation(picture: Bytes) -> float:
    """The mean of the 3×3 matrix of correlations between the channels."""
    return float(np.corrcoef(picture.reshape(-1, 3).T).mean())
