"""TIFF: directories read by hand, Pillow to decode, OpenCV to encode.

Pillow knows premultiplied alpha, inverted gray and palettes, where OpenCV goes through one RGBA path. Its encoder,
though, holds the GIL for most of its time; OpenCV's does not, but knows no metadata, so a directory with it is
appended and put in the place of the one OpenCV wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeAlias

import cv2

from daemon.codec import exif, ifd, opencv, pillow
from daemon.codec.values import Pixels, Plate, Scan, check_size, damaged, sensible_density, truncated
from daemon.errors import UnsupportedPicture
from daemon.model import EncodeOptions

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 0xFE, 0x100, 0x101, 0x102, 0x103, 0x106, 0x115
_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES = 0x111, 0x117, 0x144, 0x145
_ORIENTATION, _X_DENSITY, _Y_DENSITY, _UNIT, _EXTRA, _SAMPLE_FORMAT = 0x112, 0x11A, 0x11B, 0x128, 0x152, 0x153
_ICC, _DNG = 0x8773, 0xC612
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_NEEDED = frozenset(
    {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _STRIPS, _STRIP_SIZES, _TILES}
    | {_TILE_SIZES, _ORIENTATION, _X_DENSITY, _Y_DENSITY, _UNIT, _EXTRA, _SAMPLE_FORMAT, _ICC, _DNG}
)
_REDUCED_OR_MASK = 0b101  # NewSubfileType: a smaller copy, or a mask, of another page
_PREMULTIPLIED = 1  # ExtraSamples
_PER_INCH = {2: 1.0, 3: 2.54}  # ResolutionUnit
_READ = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000}  # none, fax, LZW, JPEG, deflate, PackBits, LZMA, Zstandard
_NONE, _LZW, _DEFLATE, _PACKBITS = 1, 5, 8, 32773
_WRITTEN = {_NONE: _NONE, _LZW: _LZW, _DEFLATE: _DEFLATE, 32946: _DEFLATE, _PACKBITS: _PACKBITS}
_OTHER_COLORS = {5: "CMYK", 8: "Lab", 9: "Lab", 10: "Lab", 32803: "camera raw", 32844: "LogLuv", 32845: "LogLuv"}
_MAX_DIRECTORIES = 64  # smaller copies of one page; above, it is a stack

_Tags: TypeAlias = Mapping[int, tuple[int, ...]]


def scan(data: bytes, max_pixels: int) -> Scan:
    """Read the directories; see `daemon.codec.probe` for the errors."""
    try:
        return _scan(data, max_pixels)
    except struct.error:
        raise truncated() from None
    except ValueError:
        raise damaged("its directory makes no sense") from None


def _scan(data: bytes, max_pixels: int) -> Scan:
    order, offset = ifd.start(data)
    directory = ifd.read(data, order, offset, {}, _needed)
    tags = {entry.tag: ifd.numbers(entry, order) for entry in directory.entries}
    width, height = _first(tags, _WIDTH, 0), _first(tags, _HEIGHT, 0)
    check_size(width, height, max_pixels)
    _check_raw(data, tags)
    _check_samples(tags)
    _check_storage(data, tags)
    _check_pages(data, order, directory.following)
    values = {entry.tag: entry.value for entry in directory.entries if isinstance(entry.value, bytes)}
    result = Scan(
        width,
        height,
        gray=_first(tags, _PHOTOMETRIC, -1) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO),
        exif=data,
        icc=values.get(_ICC),
        compression=_first(tags, _COMPRESSION, _NONE),
        density=_density(values, order, _first(tags, _UNIT, 2)),
    )
    return _turned(result) if 5 <= _first(tags, _ORIENTATION, 1) <= 8 else result


def _turned(result: Scan) -> Scan:
    """Pillow turns a TIFF upright by itself (and no other format), so the scan says so and keeps orientation 1."""
    density = result.density[::-1] if result.density else None
    return result._replace(width=result.height, height=result.width, density=density)


def _needed(entry: ifd.Entry) -> bool:
    return entry.tag in _NEEDED


def _first(tags: _Tags, tag: int, default: int) -> int:
    return next(iter(tags.get(tag, ())), default)


def _check_raw(data: bytes, tags: _Tags) -> None:
    if _DNG in tags or data[8:10] == b"CR" or _first(tags, _SUBFILE, 0) & 1:
        raise UnsupportedPicture(
            "this is a camera raw file, or one whose first page is only a preview; develop it to JPEG, PNG or TIFF"
        )


def _check_samples(tags: _Tags) -> None:
    """Refuse every sort of sample that would not come out as it looks: wide, signed, floating, or of other colours."""
    photometric, bits = _first(tags, _PHOTOMETRIC, -1), tags.get(_BITS, (1,))
    if photometric in _OTHER_COLORS:
        raise UnsupportedPicture(f"this TIFF's colours are {_OTHER_COLORS[photometric]}; convert it to RGB")
    if max(bits, default=0) > 8 or set(tags.get(_SAMPLE_FORMAT, (1,))) - {1, 4}:  # unsigned, undefined
        depth = max(bits, default=0)
        raise UnsupportedPicture(
            f"this TIFF has {depth} bits per channel, or signed or floating ones; save it with 8 bits"
        )
    colors = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}.get(photometric)
    if colors is None:
        raise damaged("it does not say what its colours are")
    extra = _first(tags, _SAMPLES, 1) - colors
    if extra < 0:
        raise damaged("it has fewer channels than its colours need")
    kinds = tags.get(_EXTRA, ())
    if extra > 1 or (extra and not _readable(photometric, kinds)):
        raise UnsupportedPicture(f"this TIFF has {colors + extra} channels of an uncommon sort; save it as RGB or RGBA")


def _readable(photometric: int, kinds: tuple[int, ...]) -> bool:
    """Whether Pillow reads this colour with one extra channel of these kinds; established by trying each."""
    return photometric == _RGB or (photometric == _BLACK_IS_ZERO and kinds in {(0,), (2,)})


def _check_storage(data: bytes, tags: _Tags) -> None:
    """Every strip or tile must be in the file: fax data cut by a few bytes decodes without complaint."""
    compression = _first(tags, _COMPRESSION, _NONE)
    if compression not in _READ:
        raise UnsupportedPicture(
            f"this TIFF is compressed in a way (number {compression}) darkroom does not read; save it with LZW"
        )
    offsets, sizes = (
        tags.get(_STRIPS, ()) or tags.get(_TILES, ()),
        tags.get(_STRIP_SIZES, ()) or tags.get(_TILE_SIZES, ()),
    )
    if not offsets:
        raise damaged("it holds no picture data")
    if any(offset + size > len(data) for offset, size in zip(offsets, sizes, strict=False)):
        raise truncated()


def _check_pages(data: bytes, order: str, offset: int | None) -> None:
    """Pages after the first must be smaller copies or masks of it, as pyramids have them."""
    for _ in range(_MAX_DIRECTORIES):
        if offset is None:
            raise truncated()
        if offset == 0:
            return
        page = ifd.read(data, order, offset, {}, _needed)
        tags = {entry.tag: ifd.numbers(entry, order) for entry in page.entries}
        if not _first(tags, _SUBFILE, 0) & _REDUCED_OR_MASK:
            break
        offset = page.following
    raise UnsupportedPicture("this TIFF has several pages; save each page as a file of its own")


def _density(values: Mapping[int, bytes], order: str, unit: int) -> tuple[float, float] | None:
    across, down = (_rational(values.get(tag, b""), order) for tag in (_X_DENSITY, _Y_DENSITY))
    scale = _PER_INCH.get(unit)
    return sensible_density(across * scale, down * scale) if scale else None


def _rational(value: bytes, order: str) -> float:
    if len(value) != 8:
        return 0.0
    above, below = struct.unpack(order + "II", value)
    return above / below if below else 0.0


def decode(data: bytes, scan: Scan) -> tuple[Pixels, Pixels | None]:
    """Pixels as stored, uint8 H×W×3, and alpha, uint8 H×W, not premultiplied."""
    return pillow.decode(data, "TIFF")


def encode(plate: Plate, options: EncodeOptions) -> bytes:
    """A TIFF with the source's compression where that was a lossless one we can write, otherwise LZW."""
    compression = _WRITTEN.get(plate.metadata.compression or 0, _LZW)
    if plate.samples.ndim == 2 and plate.alpha is not None:  # OpenCV cannot write two channels
        return _graft(pillow.encode_tiff(plate.samples, plate.alpha), plate)
    chosen = (cv2.IMWRITE_TIFF_COMPRESSION, compression)
    return _graft(opencv.encode(".tiff", plate.samples, plate.alpha, chosen), plate)


def _graft(encoded: bytes, plate: Plate) -> bytes:
    """Append a directory of the encoder's tags and the metadata's, and let the header point to it.

    In the EXIF's byte order, not the encoder's: samples of 8 bits have none, and the text of a UserComment does.
    """
    encoder_order, offset = ifd.start(encoded)
    order = ifd.start(plate.exif)[0] if plate.exif else encoder_order
    base = len(encoded) + (len(encoded) & 1)
    entries = {entry.tag: entry for entry in _metadata(plate, order)}
    for entry in ifd.read(encoded, encoder_order, offset, {}, _always).entries:
        entries[entry.tag] = ifd.from_numbers(entry.tag, entry.type, ifd.numbers(entry, encoder_order), order)
    head = ifd.header(order, base)
    return b"".join(
        (head, encoded[len(head) :], b"\0" * (base - len(encoded)), ifd.write([*entries.values()], order, base))
    )


def _always(entry: ifd.Entry) -> bool:
    return True


def _metadata(plate: Plate, order: str) -> list[ifd.Entry]:
    """Density, ICC, the meaning of the fourth channel, and the EXIF's own entries, which win."""
    entries = []
    if plate.metadata.density:
        pair = [struct.pack(order + "II", round(value * 1000), 1000) for value in plate.metadata.density]
        entries += [ifd.Entry(_X_DENSITY, 5, 1, pair[0]), ifd.Entry(_Y_DENSITY, 5, 1, pair[1])]
        entries.append(ifd.from_numbers(_UNIT, ifd.SHORT, (2,), order))
    if plate.icc:
        entries.append(ifd.Entry(_ICC, 7, len(plate.icc), plate.icc))
    if plate.alpha is not None:
        entries.append(ifd.from_numbers(_EXTRA, ifd.SHORT, (2,), order))
    return entries + (exif.entries(plate.exif) if plate.exif else [])
