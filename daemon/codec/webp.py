"""WebP: chunks read by hand, Pillow for the pixels (as fast as OpenCV here, and it writes the metadata too)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from daemon.codec import exif, pillow
from daemon.codec.values import Pixels, Plate, Scan, check_size, damaged, truncated
from daemon.errors import UnsupportedPicture
from daemon.model import EncodeOptions

_CHUNK = struct.Struct("<4sI")
_LOSSY = struct.Struct("<3x3sHH")
_LOSSLESS = struct.Struct("<BI")
_CANVAS = struct.Struct("<B3x6s")
_ANIMATED = 0x02


def scan(data: bytes, max_pixels: int) -> Scan:
    """Read the chunks without their pixels; see `daemon.codec.probe` for the errors."""
    try:
        return _scan(data, max_pixels)
    except struct.error:
        raise truncated() from None


def _scan(data: bytes, max_pixels: int) -> Scan:
    result: Scan | None = None
    has_pixels = False
    for kind, start, end in _chunks(data, max_pixels):
        if kind in (b"VP8 ", b"VP8L", b"VP8X") and result is None:
            result = Scan(*_size(data, kind, start, max_pixels))
        if result is None:
            raise damaged("its first chunk is no picture")
        if kind in (b"VP8 ", b"VP8L"):
            has_pixels = True
            result = result._replace(lossless=kind == b"VP8L")
        elif kind == b"ICCP":
            result = result._replace(icc=data[start:end])
        elif kind == b"EXIF":
            tiff = data[start:end].removeprefix(b"Exif\0\0")
            result = result._replace(exif=tiff, orientation=exif.orientation(tiff))
    if result is None or not has_pixels:
        raise damaged("it holds no picture data")
    return result


def _chunks(data: bytes, max_pixels: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of every chunk within the RIFF container, which must be there to its last byte.

    The size is checked before the container's end, so that a bomb is called one even when it is cut short.
    """
    end = 8 + int(_CHUNK.unpack_from(data, 0)[1])
    position = 12
    while position + 8 <= end:
        kind, length = _CHUNK.unpack_from(data, position)
        if position == 12 and kind in (b"VP8 ", b"VP8L", b"VP8X"):
            _size(data, kind, position + 8, max_pixels)
        start = position + 8
        if start + length > min(end, len(data)):
            raise truncated()
        yield kind, start, start + length
        position = start + length + (length & 1)
    if end > len(data):
        raise truncated()


def _size(data: bytes, kind: bytes, start: int, max_pixels: int) -> tuple[int, int]:
    """Width and height, from whichever of the three headers comes first."""
    if kind == b"VP8X":
        flags, size = _CANVAS.unpack_from(data, start)
        if flags & _ANIMATED:
            raise UnsupportedPicture("this is an animated WebP; save one of its frames as WebP or PNG")
        width, height = (int.from_bytes(side, "little") + 1 for side in (size[:3], size[3:]))
    elif kind == b"VP8L":
        signature, bits = _LOSSLESS.unpack_from(data, start)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if signature != 0x2F:
            raise damaged("its lossless header makes no sense")
    else:
        code, width, height = _LOSSY.unpack_from(data, start)
        width, height = width & 0x3FFF, height & 0x3FFF  # the upper two bits ask for scaling, which no reader does
        if code != b"\x9d\x01\x2a":
            raise damaged("its lossy header makes no sense")
    check_size(width, height, max_pixels)
    return width, height


def decode(data: bytes, scan: Scan) -> tuple[Pixels, Pixels | None]:
    """Pixels as stored, uint8 H×W×3, and alpha, uint8 H×W."""
    return pillow.decode(data, "WEBP")


def encode(plate: Plate, options: EncodeOptions) -> bytes:
    """A lossless WebP where the options ask for it or the source was one; otherwise of the options' quality.

    Lossless keeps the colour of fully transparent pixels too.
    """
    lossless = options.webp_lossless or plate.metadata.lossless
    return pillow.encode_webp(plate, options.webp_quality, lossless)
