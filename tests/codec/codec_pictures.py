"""Pictures for the codec's tests, made with Pillow and by hand: nothing here uses the codec."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from daemon.codec import Decoded, Format, decode, encode, probe
from daemon.model import EncodeOptions

Array = npt.NDArray[np.uint8]
LIMIT = 200_000_000
OPTIONS = EncodeOptions()
LIBRARY = {Format.JPEG: "JPEG", Format.PNG: "PNG", Format.WEBP: "WEBP", Format.TIFF: "TIFF", Format.BMP: "BMP"}
MAKER_NOTE = b"MAKERNOTE" * 20
COMMENT = b"ASCII\0\0\0a walk by the sea"


def saved(image: Image.Image, library: str, **options: Any) -> bytes:
    """The image as the bytes of a file that Pillow writes."""
    if library == "JPEG" and isinstance(options.get("exif"), bytes):  # elsewhere Pillow does without the prefix
        options["exif"] = b"Exif\0\0" + options["exif"].removeprefix(b"Exif\0\0")
    buffer = io.BytesIO()
    image.save(buffer, library, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """The file as Pillow reads it, loaded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def read(data: bytes) -> Decoded:
    """Probe and decode."""
    return decode(data, probe(data, LIMIT))


def rewritten(data: bytes, format: Format, options: EncodeOptions = OPTIONS) -> bytes:
    """The file decoded, and encoded unchanged as `format`."""
    picture = read(data)
    return encode(picture.pixels, picture.alpha, picture.metadata, format, options)


def psnr(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays; `inf` where identical."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def exif_block(
    order: str = "<", orientation: int = 1, thumbnail: bytes = b"\xff\xd8\xff\xe0THUMB", pad: int = 0
) -> bytes:
    """A camera's EXIF: IFD0, Exif with MakerNote and UserComment, GPS, and IFD1 with a thumbnail.

    `order`: "<" or ">" as struct writes it; `pad`: bytes of a long UserComment on top.
    """
    exif_at, gps_at, ifd1_at = 1000, 2000, 3000
    thumb_at = 4000
    comment = COMMENT + b"." * pad
    blocks = {
        8: _directory(order, 8, _ifd0(order, orientation, exif_at, gps_at), following=ifd1_at),
        exif_at: _directory(order, exif_at, _camera(order), 0),
        gps_at: _directory(order, gps_at, _gps(order), 0),
        ifd1_at: _directory(
            order,
            ifd1_at,
            {
                0x103: (3, 1, struct.pack(order + "H", 6)),
                0x201: (4, 1, struct.pack(order + "I", thumb_at)),
                0x202: (4, 1, struct.pack(order + "I", len(thumbnail))),
            },
            0,
        ),
        thumb_at: thumbnail,
    }
    if pad:
        end = thumb_at + len(thumbnail) + 100
        camera = _camera(order) | {0x9286: (7, len(comment), comment)}
        blocks[end] = _directory(order, end, camera, 0)
        blocks[8] = _directory(order, 8, _ifd0(order, orientation, end, gps_at), following=ifd1_at)
    return _laid_out(order, blocks)


def _ifd0(order: str, orientation: int, exif_at: int, gps_at: int) -> dict[int, tuple[int, int, bytes]]:
    return {
        0x10F: (2, 9, b"Acme Ltd\0"),
        0x110: (2, 4, b"Box\0"),
        0x112: (3, 1, struct.pack(order + "H", orientation)),
        0x11A: (5, 1, struct.pack(order + "II", 72, 1)),
        0x8769: (4, 1, struct.pack(order + "I", exif_at)),
        0x8825: (4, 1, struct.pack(order + "I", gps_at)),
    }


def _camera(order: str) -> dict[int, tuple[int, int, bytes]]:
    return {
        0x829A: (5, 1, struct.pack(order + "II", 1, 250)),
        0x9003: (2, 20, b"2024:05:06 07:08:09\0"),
        0x927C: (7, len(MAKER_NOTE), MAKER_NOTE),
        0x9286: (7, len(COMMENT), COMMENT),
        0xA002: (4, 1, struct.pack(order + "I", 4000)),
    }


def _gps(order: str) -> dict[int, tuple[int, int, bytes]]:
    return {
        1: (2, 2, b"N\0"),
        2: (5, 3, struct.pack(order + "IIIIII", 48, 1, 12, 1, 34, 1)),
    }


def _directory(order: str, at: int, tags: Mapping[int, tuple[int, int, bytes]], following: int) -> bytes:
    table, tail = [struct.pack(order + "H", len(tags))], b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, (kind, number, value) in sorted(tags.items()):
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", behind + len(tail))
        tail += value if len(value) > 4 else b""
        tail += b"\0" * (len(tail) & 1)
        table.append(struct.pack(order + "HHI", tag, kind, number) + field)
    return b"".join(table) + struct.pack(order + "I", following) + tail


def _laid_out(order: str, blocks: Mapping[int, bytes]) -> bytes:
    data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8))
    for at, block in sorted(blocks.items()):
        assert len(data) <= at, "blocks overlap"
        data += b"\0" * (at - len(data)) + block
    return bytes(data)
