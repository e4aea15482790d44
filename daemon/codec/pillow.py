"""Pillow, for the formats and the oddities that the faster codecs do not cover."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
from PIL import Image

from daemon.codec.values import Pixels, Plate, damaged, truncated

# runtime.max_pixels is checked before anything is opened; Pillow's own limit would warn below it.
Image.MAX_IMAGE_PIXELS = None
# "Corrupt EXIF data", "Metadata Warning, tag 256 had too many entries": darkroom reads the metadata by itself.
warnings.filterwarnings("ignore", module=r"PIL\.")

# What Pillow's decoders raise on damaged bytes; seen by corrupting files of every format.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    AttributeError,
    RuntimeError,
    struct.error,
)


def decode(data: bytes, library: str) -> tuple[Pixels, Pixels | None]:
    """Pixels as stored, uint8 H×W×3, and alpha, uint8 H×W or None. `library`: the format as Pillow names it.

    Raises:
        BrokenPicture: Pillow refuses the bytes, or they end too early.
    """
    try:
        with Image.open(io.BytesIO(data), formats=(library,)) as picture:
            return _arrays(picture)
    except _FAULTS as error:
        if "truncated" in str(error):
            raise truncated() from None
        raise damaged("its data makes no sense") from None


def _arrays(picture: Image.Image) -> tuple[Pixels, Pixels | None]:
    if picture.has_transparency_data:
        both = np.asarray(picture.convert("RGBA"))
        return np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])
    return np.array(picture.convert("RGB"), copy=True), None


def encode_png(gray: Pixels, alpha: Pixels) -> bytes:
    """A PNG of gray and alpha, both uint8 H×W."""
    return _saved(_image(gray, alpha), "PNG", compress_level=1)


def encode_tiff(gray: Pixels, alpha: Pixels) -> bytes:
    """A TIFF of gray and alpha, both uint8 H×W, compressed with LZW."""
    return _saved(_image(gray, alpha), "TIFF", compression="tiff_lzw")


def encode_webp(plate: Plate, quality: int, lossless: bool) -> bytes:
    """A WebP with the plate's EXIF and ICC; `quality` 1–100 counts where it is not lossless."""
    image = _image(plate.samples, plate.alpha)
    effort = {} if lossless else {"quality": quality}
    return _saved(
        image, "WEBP", lossless=lossless, exact=lossless, exif=plate.exif or b"", icc_profile=plate.icc, **effort
    )


def encode_bmp(plate: Plate) -> bytes:
    """A BMP without compression, with the plate's density."""
    return _saved(_image(plate.samples, None), "BMP", dpi=plate.metadata.density or (96, 96))


def _image(samples: Pixels, alpha: Pixels | None) -> Image.Image:
    """H×W or H×W×3 uint8, with or without alpha, as an image of mode L, LA, RGB or RGBA."""
    if alpha is None:
        return Image.fromarray(samples)
    return Image.fromarray(np.dstack((samples, alpha)))


def _saved(image: Image.Image, library: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, library, **options)
    return buffer.getvalue()


def resize(alpha: Pixels, width: int, height: int) -> Pixels:
    """Alpha, uint8 H×W, at another size in pixels, by Lanczos as the picture itself."""
    return np.array(Image.fromarray(alpha).resize((width, height), Image.Resampling.LANCZOS))
