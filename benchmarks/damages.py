"""Photographs, and what may have happened to them: noise, JPEG, a smaller size, missing pixels, text printed over."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.measured import square_of

Pixels = NDArray[np.uint8]
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle", "camera")
FACTOR = 4
PANGRAM = "the quick brown fox jumps over the lazy dog "


def photograph(name: str, side: int) -> Pixels:
    """The middle of one of scikit-image's photographs. Raises ValueError where that would have to be enlarged."""
    picture = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
    if min(picture.shape[:2]) < side:
        raise ValueError(f"{name} has only {min(picture.shape[:2])} pixels a side; take other --photographs")
    return square_of(Image.fromarray(picture).convert("RGB"), side).numpy()


@dataclass(frozen=True, slots=True)
class Damaged:
    """What the task is given of a photograph, its parameters, and what others make of it, by name."""

    inputs: Mapping[str, Pixels]
    parameters: Mapping[str, Any]
    others: Mapping[str, Callable[[], Pixels]]
    missing: NDArray[np.bool_] | None = None

    def psnr(self, picture: Pixels, whole: Pixels) -> float:
        """Decibels of a picture against the undamaged one, over what was missing where something was."""
        difference = (picture.astype(np.float64) - whole) / 255
        return float(-10 * np.log10(np.square(difference if self.missing is None else difference[self.missing]).mean()))


def noisy(whole: Pixels, sigma: int, seed: int) -> Damaged:
    """Gaussian noise, cut to levels; beside it OpenCV's non-local means, at the strength that fits best."""
    generator = np.random.default_rng(seed)
    picture = np.clip(np.round(whole + generator.normal(0, sigma, whole.shape)), 0, 255).astype(np.uint8)
    return Damaged({"picture": picture}, {"job": "denoise"}, {"non-local means": lambda: _non_local(picture, whole)})


def blocky(whole: Pixels, quality: int, seed: int) -> Damaged:
    """JPEG as Pillow writes it, its colors at half the size."""
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "JPEG", quality=quality)
    picture = np.array(Image.open(file))
    return Damaged({"picture": picture}, {"job": "jpeg"}, {"non-local means": lambda: _non_local(picture, whole)})


def small(whole: Pixels, factor: int, seed: int) -> Damaged:
    """A smaller copy by Pillow's Lanczos filter."""
    height, width, _ = whole.shape
    picture = np.array(Image.fromarray(whole).resize((width // factor, height // factor), Image.Resampling.LANCZOS))

    def enlarged(filter: Image.Resampling) -> Pixels:
        return np.array(Image.fromarray(picture).resize((width, height), filter))

    others = {
        "bicubic": lambda: enlarged(Image.Resampling.BICUBIC),
        "lanczos": lambda: enlarged(Image.Resampling.LANCZOS),
    }
    return Damaged({"picture": picture}, {"job": "super_resolution", "factor": factor}, others)


def sparse(whole: Pixels, percent: int, seed: int) -> Damaged:
    """So many pixels are missing, here and there."""
    return _holed(whole, np.random.default_rng(seed).random(whole.shape[:2]) < percent / 100)


def overprinted(whole: Pixels, lines: int, seed: int) -> Damaged:
    """Lines of text across the picture."""
    height, width, _ = whole.shape
    page = Image.new("L", (width, height))
    pen, size = ImageDraw.Draw(page), height // lines
    for line in range(lines):
        pen.text((line * 7 % 23 - 12, line * size), PANGRAM * 4, 255, font_size=size)
    return _holed(whole, np.array(page) > 127)


def _holed(whole: Pixels, missing: NDArray[np.bool_]) -> Damaged:
    picture = np.where(missing[:, :, None], 0, whole).astype(np.uint8)
    mask = np.repeat(np.where(missing, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    holes = missing.astype(np.uint8)
    others = {
        "Telea": lambda: cv2.inpaint(picture, holes, 3, cv2.INPAINT_TELEA),
        "Navier-Stokes": lambda: cv2.inpaint(picture, holes, 3, cv2.INPAINT_NS),
    }
    return Damaged({"picture": picture, "mask": mask}, {"job": "inpaint"}, others, missing)  # type: ignore[arg-type]


def _non_local(picture: Pixels, whole: Pixels) -> Pixels:
    strengths = (3, 6, 9, 12, 16, 20, 26, 34)
    blue_first = np.ascontiguousarray(picture[:, :, ::-1])  # as OpenCV has it: the three do not count alike
    made = [cv2.fastNlMeansDenoisingColored(blue_first, None, h, h, 7, 21)[:, :, ::-1] for h in strengths]
    return min(made, key=lambda each: float(np.square(each.astype(np.float64) - whole).mean())).astype(np.uint8)


DAMAGES: Mapping[str, Callable[[Pixels, int], Damaged]] = {
    "noise25": lambda whole, seed: noisy(whole, 25, seed),
    "noise50": lambda whole, seed: noisy(whole, 50, seed),
    "jpeg10": lambda whole, seed: blocky(whole, 10, seed),
    "jpeg20": lambda whole, seed: blocky(whole, 20, seed),
    "small4": lambda whole, seed: small(whole, FACTOR, seed),
    "missing50": lambda whole, seed: sparse(whole, 50, seed),
    "text": lambda whole, seed: overprinted(whole, 16, seed),
}
