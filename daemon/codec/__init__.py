"""Bytes ↔ pixels: the only room that knows OpenCV, simplejpeg and Pillow.

`probe` reads a header, before anything is decoded; `decode` gives upright RGB and what travels beside it; `encode`
gives the bytes of a file back. All three are pure functions of bytes and arrays, may be called from any thread, and
release the GIL in their heavy parts.

EXIF (upright, without thumbnail and MakerNote) and ICC profile are kept wherever the output format can hold them;
XMP, comments, IPTC, Photoshop blocks and further pictures in the same file are not: they may show the original.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Protocol, cast

# runtime.max_pixels is checked before OpenCV sees a picture. Its own limit (2^30 pixels, read when the library is
# loaded, so set before) would call a larger one damaged.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 40))

import cv2
import numpy as np

from daemon.codec import bmp, exif, icc, jpeg, pillow, png, tiff, webp
from daemon.codec.orientation import swaps_sides, upright
from daemon.codec.sniff import recognise
from daemon.codec.values import (
    WITHOUT_ALPHA,
    Decoded,
    Format,
    Header,
    Metadata,
    Pixels,
    Plate,
    Scan,
    check_size,
    damaged,
    format_of,
    refuse_unfit,
)
from daemon.model import EncodeOptions

__all__ = [
    "Decoded",
    "Format",
    "Header",
    "Metadata",
    "Pixels",
    "check_size",
    "decode",
    "encode",
    "format_of",
    "probe",
    "refuse_unfit",
]


class _Codec(Protocol):
    """What a format's module offers."""

    def scan(self, data: bytes, max_pixels: int) -> Scan: ...
    def decode(self, data: bytes, scan: Scan) -> tuple[Pixels, Pixels | None]: ...
    def encode(self, plate: Plate, options: EncodeOptions) -> bytes: ...


_CODECS: Mapping[Format, _Codec] = {
    Format.JPEG: jpeg,
    Format.PNG: png,
    Format.WEBP: webp,
    Format.TIFF: tiff,
    Format.BMP: bmp,
}
_WITHOUT_GRAY = {Format.WEBP}


def probe(data: bytes, max_pixels: int) -> Header:
    """Read the header of a picture; no pixel is decoded and nothing of its size allocated.

    Raises:
        BrokenPicture: the bytes are no picture, or end within their structure.
        UnsupportedPicture: a picture that would come out wrong (16 bits, CMYK, animated, several pages, …).
        TooManyPixels: width × height is above `max_pixels`.
    """
    kind = recognise(data)
    scan = _CODECS[kind].scan(data, max_pixels)
    if swaps_sides(scan.orientation):
        return Header(kind, scan.height, scan.width)
    return Header(kind, scan.width, scan.height)


def decode(data: bytes, header: Header) -> Decoded:
    """Decode a picture whose `header` came from `probe`: upright 8-bit RGB, its alpha, its metadata.

    Raises:
        BrokenPicture: the data is truncated or damaged, or its size is not the header's.
        UnsupportedPicture: as for `probe`.
    """
    codec = _CODECS[header.format]
    scan = codec.scan(data, sys.maxsize)
    pixels, alpha = codec.decode(data, scan)
    if pixels.shape != (scan.height, scan.width, 3):
        raise damaged(f"its header says {scan.width} × {scan.height} pixels, its data {pixels.shape[1::-1]}")
    pixels = upright(pixels, scan.orientation)
    if pixels.shape[:2] != (header.height, header.width):
        raise damaged("its header changed while it was read")
    alpha = None if alpha is None else upright(alpha, scan.orientation)
    return Decoded(pixels, alpha, _metadata(header.format, scan))


def _metadata(kind: Format, scan: Scan) -> Metadata:
    density = scan.density[::-1] if scan.density and swaps_sides(scan.orientation) else scan.density
    tiff = exif.clean(scan.exif) if scan.exif else None
    return Metadata(kind, scan.gray, tiff, scan.icc, scan.subsampling, scan.compression, scan.lossless, density)


def encode(pixels: Pixels, alpha: Pixels | None, metadata: Metadata, format: Format, options: EncodeOptions) -> bytes:
    """The bytes of a `format` file of `pixels` (uint8 H×W×3 RGB) and `alpha` (uint8 H×W, or None).

    Alpha of another size than the pixels' is resized to it. A gray source whose channels are still equal is written as
    gray. An ICC profile of another colour space than the samples' is left out.

    Raises:
        OutputRefused: the format cannot hold the picture, see refuse_unfit.
    """
    height, width = pixels.shape[:2]
    refuse_unfit(format, width, height, alpha)
    samples = _gray(pixels) if metadata.gray and format not in _WITHOUT_GRAY else None
    if samples is None:
        samples = np.ascontiguousarray(pixels)
    profile = icc.fitting(metadata.icc, gray=samples.ndim == 2)
    plate = Plate(samples, _alpha(alpha, pixels, format), metadata.exif, profile, metadata)
    return _CODECS[format].encode(plate, options)


def _gray(pixels: Pixels) -> Pixels | None:
    """The one channel of pixels whose three are equal, or None."""
    red, green, blue = (cast(Pixels, cv2.extractChannel(pixels, index)) for index in range(3))
    return red if np.array_equal(red, green) and np.array_equal(green, blue) else None


def _alpha(alpha: Pixels | None, pixels: Pixels, format: Format) -> Pixels | None:
    if alpha is None or format in WITHOUT_ALPHA:
        return None
    height, width = pixels.shape[:2]
    return alpha if alpha.shape == (height, width) else pillow.resize(alpha, width, height)
