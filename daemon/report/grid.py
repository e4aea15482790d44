"""The pictures of a report as data URIs: a grid of inputs × scales, or the source alone.

A pooled picture is kept at its own small resolution and enlarged by the browser, pixel by pixel: that is
nearest-neighbour enlargement exactly, in a few hundred bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.codec.thumbnail import averaged, blurred, encoded, resized
from kernels.spec import Series

Pixels: TypeAlias = NDArray[np.uint8]
Levels: TypeAlias = NDArray[np.float32]
Load: TypeAlias = Callable[[str], Pixels | None]
"""Gives the decoded picture of an absolute path, uint8 H×W×3 RGB at its own size; None when it is gone."""

_SIDE = 256
"""No picture in a page has a longer side in pixels: none is shown larger."""
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601
MOSAIC_SCALE = 16
"""The cells of the mosaic input, in pixels a side."""
_MOSAIC_SIGMA = 4.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture to show. `extent` is its width over that of its frame: above 1 where the last cell is cut off."""

    uri: str
    width: int
    height: int
    extent: float = 1.0


class Gallery:
    """Renders the pictures of a report and keeps them until the next, so that a rewrite decodes new ones only."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bytes], Mapping[Series, Cell]] = {}

    def render(
        self, wanted: Iterable[tuple[str, bytes]], series: tuple[Series, ...], size: int | None, load: Load
    ) -> list[Mapping[Series, Cell]]:
        """The cells of each picture, named by its source and the bytes of its errors: new errors, new content.

        A source that is gone has no cells, and is asked for again the next time.
        """
        keys = list(wanted)
        self._kept = {key: self._kept.get(key) or _cells(load(key[0]), series, size) for key in keys}
        return [self._kept[key] for key in keys]


def _cells(picture: Pixels | None, series: tuple[Series, ...], size: int | None) -> Mapping[Series, Cell]:
    """Series("source") is the picture as it is; the others are as their names say, where they are known."""
    if picture is None:
        return {}
    scaled = [each for each in series if each.scale is not None]
    if not scaled or size is None:
        return {SOURCE: _cell(_fitting(picture))}
    inputs = made_inputs(resized(picture, size, size), {each.input for each in scaled})
    return {each: _pooled_cell(inputs[each.input], each.scale or 1) for each in scaled if each.input in inputs}


SOURCE = Series("source")


def made_inputs(true: Pixels, names: set[str]) -> dict[str, Levels]:
    """The inputs of the study, float32 H×W×C levels 0..255, of the picture resized, uint8 H×W×3; gray has one channel.

    Names that are not known are left out.
    """
    levels = true.astype(np.float32)
    makers: dict[str, Callable[[], Levels]] = {
        "true": lambda: levels,
        "gray": lambda: (levels @ _LUMA)[..., None],
        "mosaic": lambda: blurred(_enlarged(pooled(levels, MOSAIC_SCALE), MOSAIC_SCALE, levels), _MOSAIC_SIGMA),
    }
    return {name: make() for name, make in makers.items() if name in names}


def pooled(levels: Levels, scale: int) -> Levels:
    """The mean of each scale × scale cell of H×W×C: ⌈H/scale⌉×⌈W/scale⌉×C. The last cells may be partial."""
    height, width = levels.shape[:2]
    if height % scale == 0 == width % scale:  # the usual case, in a tenth of the time
        return averaged(levels, scale)
    for axis in (0, 1):
        starts = np.arange(0, levels.shape[axis], scale)
        pixels = np.diff(starts, append=levels.shape[axis]).astype(np.float32)
        sums = np.add.reduceat(levels, starts, axis=axis)
        levels = (sums / np.expand_dims(pixels, (1 - axis, 2))).astype(np.float32)
    return levels


def _enlarged(small: Levels, scale: int, like: Levels) -> Levels:
    height, width = like.shape[:2]
    return small.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]


def _pooled_cell(levels: Levels, scale: int) -> Cell:
    small = pooled(levels, scale)
    pixels = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    samples = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return _cell(_fitting(samples), extent=small.shape[1] * scale / levels.shape[1])


def _fitting(pixels: Pixels) -> Pixels:
    """The picture, made smaller where a side is longer than a page needs."""
    height, width = pixels.shape[:2]
    factor = min(1.0, _SIDE / max(height, width))
    return resized(pixels, max(1, round(width * factor)), max(1, round(height * factor)))


def _cell(pixels: Pixels, extent: float = 1.0) -> Cell:
    kind, data = encoded(pixels)
    height, width = pixels.shape[:2]
    return Cell(f"data:{kind};base64,{base64.b64encode(data).decode()}", width, height, extent)
