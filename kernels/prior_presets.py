"""What a deep image prior is run with, by job: its authors' settings, and ours, which were chosen by measuring."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kernels.prior_network import Shape

JOBS = ("denoise", "jpeg", "super_resolution", "inpaint")
DEFAULT_FACTOR = 4

HOURGLASS = Shape(noise=32, down=(128,) * 5, up=(128,) * 5, skip=(4,) * 5)
"""The network of most of the authors' pictures: 2.2 million weights."""
PYRAMID = Shape(noise=3, down=(8, 16, 32, 64, 128), up=(8, 16, 32, 64, 128), skip=(0, 0, 0, 4, 4))


@dataclass(frozen=True, slots=True)
class Settings:
    """`rate` is Adam's; `jitter` the standard deviation of what is added to the noise at each step.

    `grid`: two ramps from 0 to 1, across and down, are looked at instead of noise.
    """

    shape: Shape
    rate: float
    jitter: float
    iterations: int
    grid: bool = False


FAST = {
    "denoise": Settings(HOURGLASS, 0.01, 0.02, 3000),
    "jpeg": Settings(HOURGLASS, 0.01, 0.01, 1000),
    "super_resolution": Settings(HOURGLASS, 0.01, 0.01, 1000),
    "inpaint": Settings(HOURGLASS, 0.01, 0.01, 3000),
}
"""Ours, with less jitter than the authors' 1/30: with more the picture comes later and is better at best. For noise
0.02 gave half a decibel more than 0.01, in half as many steps again or more (docs/performance.md)."""

_DENOISE = Settings(HOURGLASS, 0.01, 1 / 30, 3000)
_TEXT = Settings(replace(HOURGLASS, skip=(128,) * 5, enlarging="nearest"), 0.01, 0.03, 6001)
_LIBRARY = Shape(
    noise=1, down=(16, 32, 64, 128, 128, 128), up=(16, 32, 64, 128, 128, 128), skip=(0,) * 6, enlarging="nearest",
    kernel=5, pointwise=False,
)  # fmt: skip
_VASE = replace(HOURGLASS, noise=2, skip=(0,) * 5, enlarging="nearest")

PAPER = {
    "denoise": _DENOISE,
    "jpeg": Settings(PYRAMID, 0.01, 1 / 30, 2400),
    "super_resolution": Settings(HOURGLASS, 0.01, 0.03, 2000),
    "inpaint": _TEXT,
}
"""The authors' settings by job: their notebooks' F16, snail, zebra and kate (deep-image-prior, revision 042e0d4c)."""
PAPER_LARGE_FACTOR = Settings(HOURGLASS, 0.01, 0.05, 4000)
"""For super-resolution by more than 4."""
INPAINTING = {
    "text": _TEXT,
    "hole": Settings(_LIBRARY, 0.01, 0.0, 3001),
    "smooth_hole": Settings(_VASE, 0.01, 0.03, 5001, grid=True),
    "pixels": Settings(HOURGLASS, 0.001, 0.03, 11000),
}
"""The authors' settings for inpainting by what is missing: kate, library, vase, and half of barbara's pixels."""

PRESETS = ("fast", "paper", *INPAINTING)
SIZES = ("small", "standard")


def settings(preset: str, job: str, factor: int, size: str | None) -> Settings:
    """The settings of a preset for a job; `size: small` halves the network's channels, by default those of `fast`.

    Small takes half of the time or less, and gave as much or 0.2 dB less where both were tried (docs/performance.md).
    """
    size = size or ("small" if preset == "fast" else "standard")
    if preset == "fast":
        chosen = FAST[job]
    elif preset == "paper":
        chosen = PAPER_LARGE_FACTOR if job == "super_resolution" and factor > DEFAULT_FACTOR else PAPER[job]
    else:
        chosen = INPAINTING[preset]
    return replace(chosen, shape=_halved(chosen.shape)) if size == "small" else chosen


def _halved(shape: Shape) -> Shape:
    """Half the channels; a skip that is thin stays as it is."""
    down, up = (tuple(channels // 2 for channels in each) for each in (shape.down, shape.up))
    skip = tuple(channels // 2 if channels > 4 else channels for channels in shape.skip)
    return replace(shape, down=down, up=up, skip=skip)
