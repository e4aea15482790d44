"""JPEG: a header read by hand, simplejpeg for the pixels, Pillow for what simplejpeg cannot decode."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NoReturn

import numpy as np
import simplejpeg

from daemon.codec import exif, pillow
from daemon.codec.values import Pixels, Plate, Scan, check_size, damaged, sensible_density, truncated
from daemon.errors import UnsupportedPicture
from daemon.model import EncodeOptions

_SEGMENT = struct.Struct(">BBH")
_FRAME = struct.Struct(">BHHB")
_DENSITY = struct.Struct(">BHH")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2
_STANDALONE = {0x01, _SOI, *range(0xD0, 0xD8)}
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended sequential, progressive
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # lossless, hierarchical, arithmetic
_EXIF = b"Exif\0"
_ICC = b"ICC_PROFILE\0"
_MAX_PAYLOAD = 65533  # bytes of a segment behind its two of length
_MAX_ICC_PART = _MAX_PAYLOAD - len(_ICC) - 2
_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
_PER_INCH = {1: 1.0, 2: 2.54}  # JFIF units: dots per inch, dots per cm
# libjpeg's warnings that mean missing or senseless coefficients; Pillow would accept them and give garbage rows.
_DAMAGE = re.compile(r"premature end|bad huffman|instead of rst|extraneous bytes", re.IGNORECASE)
# A few bytes of padding before the end marker: common, and the picture is whole by then. One flipped bit can leave
# dozens, when the decoder finds its last block too early.
_PADDING = re.compile(r"\b(1[0-6]|[1-9]) extraneous bytes before marker 0xd9")


def scan(data: bytes, max_pixels: int) -> Scan:
    """Read the segments up to the first scan; see `daemon.codec.probe` for the errors."""
    try:
        return _scan(data, max_pixels)
    except struct.error:
        raise truncated() from None


def _scan(data: bytes, max_pixels: int) -> Scan:
    result: Scan | None = None
    tiff: bytes | None = None
    profile: list[bytes] = []
    density: tuple[float, float] | None = None
    for marker, body, end in _segments(data):
        if marker in _HUFFMAN_FRAMES:
            result = _frame(data, body, end - body, max_pixels)
        elif marker == _APP1 and tiff is None and data.startswith(_EXIF, body):
            tiff = data[body + 6 : end]
        elif marker == _APP2 and data.startswith(_ICC, body):
            profile.append(data[body + len(_ICC) : end])
        elif marker == _APP0 and data.startswith(b"JFIF\0", body):
            density = _density(data, body + 7)
        elif marker in _OTHER_FRAMES:
            raise _uncommon()
    if result is None:
        raise damaged("it has no frame header")
    turned = exif.orientation(tiff) if tiff else 1
    return result._replace(orientation=turned, exif=tiff, icc=_join(profile) if profile else None, density=density)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first byte behind the length, and end of every segment before the first scan."""
    position = 2
    while True:
        first, marker, length = _SEGMENT.unpack_from(data, position)
        if first != 0xFF or marker == _EOI:
            raise damaged("its segments do not lead to picture data")
        if marker == _SOS:
            return
        if marker == 0xFF:  # fill bytes may stand before any marker
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            yield marker, position + 4, position + 2 + length
            position += 2 + length


def _uncommon() -> UnsupportedPicture:
    return UnsupportedPicture(
        "this is a lossless, hierarchical or arithmetic-coded JPEG, which few programs read; "
        "save it as an ordinary JPEG or as PNG"
    )


def _frame(data: bytes, body: int, length: int, max_pixels: int) -> Scan:
    precision, height, width, components = _FRAME.unpack_from(data, body)
    if precision != 8:
        raise UnsupportedPicture(f"this JPEG has {precision} bits per sample; save it with 8 bits")
    if components == 4:
        raise UnsupportedPicture("this is a CMYK JPEG, made for print; convert it to RGB")
    if components not in (1, 3) or length < 6 + 3 * components:
        raise damaged(f"it has {components} colour components")
    if height == 0:
        raise UnsupportedPicture("this JPEG gives its height after the picture (DNL); save it again as JPEG or PNG")
    check_size(width, height, max_pixels)
    factors = data[body + 7 : body + 6 + 3 * components : 3]
    return Scan(width, height, components == 1, subsampling=_subsampling(factors))


def _subsampling(factors: bytes) -> str | None:
    """The name of a colour JPEG's chroma subsampling from its components' sampling factors (4 bits each way)."""
    if len(factors) != 3 or factors[1] != factors[2] or not factors[1] & 15 or not factors[1] >> 4:
        return None
    across, down = divmod(factors[0] >> 4, factors[1] >> 4), divmod(factors[0] & 15, factors[1] & 15)
    return None if across[1] or down[1] else _SUBSAMPLINGS.get((across[0], down[0]))


def _density(data: bytes, position: int) -> tuple[float, float] | None:
    unit, across, down = _DENSITY.unpack_from(data, position)
    scale = _PER_INCH.get(unit)
    return sensible_density(across * scale, down * scale) if scale else None


def _join(parts: list[bytes]) -> bytes | None:
    """One profile from its numbered parts, each with its number and their count before it; None if one is missing."""
    parts.sort(key=lambda part: part[:1])
    if [part[:2] for part in parts] != [bytes((number, len(parts))) for number in range(1, len(parts) + 1)]:
        return None
    return b"".join(part[2:] for part in parts)


def decode(data: bytes, scan: Scan) -> tuple[Pixels, Pixels | None]:
    """Pixels as stored, uint8 H×W×3; a JPEG has no alpha."""
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        return _decode_leniently(data, str(error)), None
    return pixels, None


def _decode_leniently(data: bytes, complaint: str) -> Pixels:
    """Pillow takes sampling factors that TurboJPEG's interface has no name for, and passes over harmless warnings."""
    if data.find(b"\xff\xd9") < 0 or "premature end of jpeg" in complaint.lower():
        raise truncated()
    if _DAMAGE.search(complaint) and not _PADDING.search(complaint):
        _refuse(complaint)
    pixels, _ = pillow.decode(data, "JPEG")
    return pixels


def _refuse(complaint: str) -> NoReturn:
    raise damaged(f"libjpeg says “{complaint.removeprefix('Corrupt JPEG data: ')}”")


def encode(plate: Plate, options: EncodeOptions) -> bytes:
    """A baseline JPEG. Chroma as in a JPEG source; otherwise 4:4:4 from quality 90 up, and 4:2:0 below."""
    if plate.samples.ndim == 2:
        samples, space, chroma = plate.samples[..., np.newaxis], "GRAY", "Gray"
    else:
        default = "444" if options.jpeg_quality >= 90 else "420"
        samples, space, chroma = plate.samples, "RGB", plate.metadata.subsampling or default
    return _with_metadata(simplejpeg.encode_jpeg(samples, options.jpeg_quality, space, chroma), plate)


def _with_metadata(encoded: bytes, plate: Plate) -> bytes:
    """Put EXIF and ICC behind the JFIF segment, which simplejpeg writes first, and the density into it."""
    if not (plate.exif or plate.icc or plate.metadata.density):
        return encoded
    body = 2 + 2 + int.from_bytes(encoded[4:6], "big")
    head = encoded[:body]
    if plate.metadata.density:
        across, down = (round(value) for value in plate.metadata.density)
        head = head[:13] + _DENSITY.pack(1, across, down) + head[18:]
    return b"".join((head, _exif_segment(plate.exif), *_icc_segments(plate.icc), encoded[body:]))


def _exif_segment(tiff: bytes | None) -> bytes:
    """Empty where the EXIF is missing or above 64 KiB: one segment must hold it all, and no reader joins two."""
    if not tiff or len(tiff) + 6 > _MAX_PAYLOAD:
        return b""
    return _segment(_APP1, b"Exif\0\0" + tiff)


def _icc_segments(profile: bytes | None) -> list[bytes]:
    """The profile in numbered parts (ICC.1 annex B); none where it is above 255 parts, some 16 MB."""
    profile = profile or b""
    parts = [profile[start : start + _MAX_ICC_PART] for start in range(0, len(profile), _MAX_ICC_PART)]
    if len(parts) > 255:
        return []
    return [_segment(_APP2, _ICC + bytes((number, len(parts))) + part) for number, part in enumerate(parts, 1)]


def _segment(marker: int, payload: bytes) -> bytes:
    return _SEGMENT.pack(0xFF, marker, len(payload) + 2) + payload
