"""What the codec takes and gives: frozen values, without any library's types but numpy's arrays."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from daemon.errors import BrokenPicture, OutputRefused, TooManyPixels

Pixels: TypeAlias = npt.NDArray[np.uint8]


class Format(enum.StrEnum):
    """The formats darkroom reads and writes."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"
    BMP = "bmp"


MAX_SIDE = {Format.JPEG: ("JPEG", 65500), Format.PNG: ("PNG", 1_000_000), Format.WEBP: ("WebP", 16383)}
"""Pixels: the limits of libjpeg, of libpng, and of WebP itself."""
WITHOUT_ALPHA = frozenset({Format.JPEG, Format.BMP})

_EXTENSIONS = {
    "jpg": Format.JPEG,
    "jpeg": Format.JPEG,
    "jpe": Format.JPEG,
    "jfif": Format.JPEG,
    "png": Format.PNG,
    "webp": Format.WEBP,
    "tif": Format.TIFF,
    "tiff": Format.TIFF,
    "bmp": Format.BMP,
    "dib": Format.BMP,
}


def format_of(extension: str) -> Format | None:
    """The format an output's extension asks for, with or without its dot, in any case; None where there is none."""
    return _EXTENSIONS.get(extension.removeprefix(".").lower())


@dataclass(frozen=True, slots=True)
class Header:
    """What is known before decoding. Width and height in pixels as displayed, that is after EXIF orientation."""

    format: Format
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """What travels beside the pixels, so that the output can be the same sort of file as the source.

    `gray`: the source had one colour channel. `exif`: a TIFF structure without the `Exif` prefix, upright, without
    thumbnail and MakerNote. `icc`: the profile as stored. `subsampling`: a JPEG's chroma ("420", "444", …).
    `compression`: a TIFF's Compression tag. `lossless`: the source was a lossless WebP. `density`: horizontal
    and vertical pixels per inch. None: the source did not say.
    """

    format: Format
    gray: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    subsampling: str | None = None
    compression: int | None = None
    lossless: bool = False
    density: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture in memory, upright.

    `pixels`: uint8 H×W×3 RGB, C-contiguous. `alpha`: uint8 H×W, 255 opaque, or None.
    """

    pixels: Pixels
    alpha: Pixels | None
    metadata: Metadata


class Scan(NamedTuple):
    """What a file's own structure says, before any pixel is decoded.

    Width and height in pixels as the decoder gives them, still to be turned by `orientation`.

    A named tuple: it is made twice for every picture and costs a third of a frozen dataclass.
    """

    width: int
    height: int
    gray: bool = False
    alpha: bool = False
    orientation: int = 1
    exif: bytes | None = None
    icc: bytes | None = None
    subsampling: str | None = None
    compression: int | None = None
    lossless: bool = False
    density: tuple[float, float] | None = None
    transparent: int | None = None  # the one gray level a PNG's tRNS declares transparent, already scaled to 0–255


class Plate(NamedTuple):
    """A picture ready for its output format. `samples`: uint8 H×W×3 RGB, or H×W gray; `alpha`: uint8 H×W or None."""

    samples: Pixels
    alpha: Pixels | None
    exif: bytes | None
    icc: bytes | None
    metadata: Metadata


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse what the header announces before a byte is decoded.

    Raises:
        BrokenPicture: a side is zero.
        TooManyPixels: width × height is above `max_pixels`.
    """
    if width <= 0 or height <= 0:
        raise BrokenPicture(f"the header says {width} × {height} pixels; the file is damaged, get a sound copy")
    if width * height > max_pixels:
        raise TooManyPixels(
            f"{width} × {height} pixels are {width * height / 1e6:.1f} MP, above runtime.max_pixels "
            f"({max_pixels / 1e6:.1f} MP); make the picture smaller or raise runtime.max_pixels in config.yaml"
        )


def refuse_unfit(format: Format, width: int, height: int, alpha: Pixels | None) -> None:
    """Refuse a picture that its output format cannot hold. `alpha`: uint8, or None.

    Raises:
        OutputRefused: a side has too many pixels, or there is transparency in a JPEG or BMP.
    """
    name, limit = MAX_SIDE.get(format, ("", max(height, width)))
    if max(height, width) > limit:
        raise OutputRefused(
            f"{width} × {height} pixels do not fit a {name} ({limit} a side); "
            "make the picture smaller or let the output end in .tiff"
        )
    if format in WITHOUT_ALPHA and alpha is not None and alpha.min() < 255:
        raise OutputRefused(
            f"{format.upper()} cannot hold this picture's transparency; let the output end in .png, .webp or .tiff"
        )


def sensible_density(across: float, down: float) -> tuple[float, float] | None:
    """Pixels per inch as every format can write them, or None: zero and nonsense mean that nothing is known."""
    return (across, down) if 1 <= across <= 65535 and 1 <= down <= 65535 else None


def truncated() -> BrokenPicture:
    """The error for a file that ends before its picture does."""
    return BrokenPicture("the file ends before the picture does; copy or download it again")


def damaged(reason: str) -> BrokenPicture:
    """The error for a file whose structure or data contradicts itself; `reason` as plain words."""
    return BrokenPicture(f"the picture is damaged: {reason}; get a sound copy")
