"""BMP: a header read by hand, Pillow for the pixels. Written without EXIF, ICC and alpha, which it cannot hold."""

from __future__ import annotations

import struct

from daemon.codec import pillow
from daemon.codec.values import Pixels, Plate, Scan, check_size, damaged, sensible_density, truncated
from daemon.errors import UnsupportedPicture
from daemon.model import EncodeOptions

_FILE = struct.Struct("<10xII")
_CORE = struct.Struct("<HHHH")
_INFO = struct.Struct("<iiHHIIiiI")
_INCHES_PER_METRE = 1 / 0.0254
_UNCOMPRESSED = {0, 3, 6}  # plain, and with bit masks
_RUN_LENGTH = {1: 8, 2: 4}  # compression → the bits per pixel it is for
_DEPTHS = (1, 4, 8, 16, 24, 32)


def scan(data: bytes, max_pixels: int) -> Scan:
    """Read the two headers and the palette; see `daemon.codec.probe` for the errors."""
    try:
        return _scan(data, max_pixels)
    except struct.error:
        raise truncated() from None


def _scan(data: bytes, max_pixels: int) -> Scan:
    offset, size = _FILE.unpack_from(data)
    compression, stored, across, down, colors = 0, 0, 0, 0, 0
    if size == 12:
        width, height, _, depth = _CORE.unpack_from(data, 18)
    else:
        width, height, _, depth, compression, stored, across, down, colors = _INFO.unpack_from(data, 18)
    height = abs(height)  # negative: the rows run from the top
    check_size(width, height, max_pixels)
    _check_storage(depth, compression)
    if compression in _UNCOMPRESSED:
        stored = (width * depth + 31) // 32 * 4 * height  # writers leave the field 0
    if offset + stored > len(data):
        raise truncated()
    gray = depth <= 8 and _gray_palette(data, 14 + size, 3 if size == 12 else 4, min(colors or 256, 1 << depth))
    density = sensible_density(across / _INCHES_PER_METRE, down / _INCHES_PER_METRE)
    return Scan(width, height, gray, density=density)


def _check_storage(depth: int, compression: int) -> None:
    if depth not in _DEPTHS or _RUN_LENGTH.get(compression, depth) != depth:
        raise damaged(f"its header says {depth} bits per pixel, compression {compression}")
    if compression not in _UNCOMPRESSED | _RUN_LENGTH.keys():
        raise UnsupportedPicture(
            f"this BMP is compressed in a way (number {compression}) few programs read; save as PNG"
        )


def _gray_palette(data: bytes, start: int, step: int, colors: int) -> bool:
    palette = data[start : start + step * colors]
    return palette[0::step] == palette[1::step] == palette[2::step]


def decode(data: bytes, scan: Scan) -> tuple[Pixels, Pixels | None]:
    """Pixels from the top, uint8 H×W×3, and alpha, uint8 H×W, where the file declares a mask for it and uses it."""
    pixels, alpha = pillow.decode(data, "BMP")
    if alpha is not None and not alpha.any():  # writers that declare the mask and leave it zero mean an opaque picture
        return pixels, None
    return pixels, alpha


def encode(plate: Plate, options: EncodeOptions) -> bytes:
    """A BMP of 24 bits, or of 8 with a gray palette."""
    return pillow.encode_bmp(plate)
