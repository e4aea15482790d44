"""Truncated, corrupted and lying files: an error of the picture, never another one, and never half a picture."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemon.codec import decode, probe
from daemon.errors import BrokenPicture, PermanentError
from tests.codec.codec_pictures import LIMIT, exif_block, read, saved

# pytest turns warnings into errors; daemon.codec.pillow has Pillow keep silent about metadata it reads in vain.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

SORTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("RGB", "JPEG", {}),
    "jpeg-exif": ("RGB", "JPEG", {"exif": exif_block()}),
    "jpeg-gray": ("L", "JPEG", {}),
    "jpeg-progressive": ("RGB", "JPEG", {"progressive": True}),
    "jpeg-restart": ("RGB", "JPEG", {"restart_marker_rows": 1}),
    "png": ("RGB", "PNG", {"exif": exif_block()}),
    "png-alpha": ("RGBA", "PNG", {}),
    "png-palette": ("P", "PNG", {"transparency": 3}),
    "png-bilevel": ("1", "PNG", {}),
    "webp": ("RGB", "WEBP", {}),
    "webp-alpha": ("RGBA", "WEBP", {"exif": exif_block()}),
    "webp-lossless": ("RGBA", "WEBP", {"lossless": True}),
    "bmp": ("RGB", "BMP", {}),
    "bmp-palette": ("P", "BMP", {}),
    "bmp-bilevel": ("1", "BMP", {}),
    "tiff": ("RGB", "TIFF", {}),
    "tiff-lzw": ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("LA", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff-packbits": ("RGB", "TIFF", {"compression": "packbits"}),
    "tiff-jpeg": ("RGB", "TIFF", {"compression": "jpeg"}),
    "tiff-fax": ("1", "TIFF", {"compression": "group4"}),
    "tiff-palette": ("P", "TIFF", {}),
}


@pytest.fixture(scope="module", params=SORTS)
def whole(request: pytest.FixtureRequest, photo: Image.Image, sheer: Image.Image) -> bytes:
    """A sound file of every sort."""
    mode, library, options = SORTS[request.param]
    image = sheer.convert(mode) if mode in ("RGBA", "LA") else photo.convert(mode)
    return saved(image, library, **options)


def test_a_truncated_file_is_broken_wherever_it_ends(whole: bytes) -> None:
    read(whole)
    size = len(whole)
    ends = {*range(0, min(size, 200), 3), *range(0, size, max(1, size // 120)), *range(size - 24, size)}
    for end in sorted(ends):
        with pytest.raises(BrokenPicture):
            read(whole[:end])


def test_a_file_cut_while_it_was_copied_keeps_its_length_but_not_its_end(whole: bytes) -> None:
    """A file system that reserved the room leaves zeros. Uncompressed samples have nothing to tell them by."""
    half = whole[: len(whole) // 2]
    try:
        read(half + bytes(len(whole) - len(half)))
    except PermanentError:
        return
    assert whole.startswith((b"BM", b"II*\0", b"RIFF"))


def test_corrupted_bytes_raise_nothing_but_errors_of_the_picture(whole: bytes) -> None:
    chance = random.Random(len(whole))
    for _ in range(150):
        data = bytearray(whole)
        reach = chance.choice((64, 512, len(data)))
        for _ in range(chance.choice((1, 1, 2, 6))):
            place = chance.randrange(min(reach, len(data)))
            data[place] = chance.choice((0, 255, chance.randrange(256), data[place] ^ (1 << chance.randrange(8))))
        try:
            header = probe(bytes(data), 1_000_000)
            pixels = decode(bytes(data), header).pixels
        except PermanentError as error:
            assert "\n" not in str(error)
        else:
            assert pixels.shape == (header.height, header.width, 3)


def test_random_bytes_behind_a_signature(whole: bytes) -> None:
    chance = random.Random(len(whole))
    for length in (1, 8, 20, 60, 300):
        with pytest.raises(PermanentError):
            read(whole[:16] + chance.randbytes(length))


def test_a_png_bit_is_found_by_its_checksum(photo: Image.Image) -> None:
    data = bytearray(saved(photo, "PNG"))
    data[data.index(b"IDAT") + 300] ^= 1
    with pytest.raises(BrokenPicture, match="a checksum is wrong"):
        read(bytes(data))


@pytest.mark.parametrize("taller", [1, 40])
def test_a_png_with_fewer_rows_than_its_header_says_is_broken(photo: Image.Image, taller: int) -> None:
    data = bytearray(saved(photo, "PNG"))
    data[20:24] = struct.pack(">I", photo.height + taller)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(BrokenPicture):
        read(bytes(data))


@pytest.mark.parametrize("taller", [16, 40])
def test_a_jpeg_with_fewer_rows_than_its_header_says_is_broken(photo: Image.Image, taller: int) -> None:
    data = bytearray(saved(photo, "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 2] = struct.pack(">H", photo.height + taller)
    with pytest.raises(BrokenPicture):
        read(bytes(data))


def test_a_webp_whose_canvas_is_not_its_picture_is_broken(sheer: Image.Image) -> None:
    data = bytearray(saved(sheer, "WEBP"))
    data[24] ^= 1
    with pytest.raises(BrokenPicture):
        read(bytes(data))


def test_a_file_that_changed_after_the_probe_is_broken(photo: Image.Image) -> None:
    header = probe(saved(photo, "JPEG"), LIMIT)
    with pytest.raises(BrokenPicture, match="changed while it was read"):
        decode(saved(photo.resize((30, 20)), "JPEG"), header)
    with pytest.raises(BrokenPicture):
        decode(saved(photo, "PNG"), header)


def test_bad_metadata_chunk_does_not_fail_a_sound_png(photo: Image.Image) -> None:
    data = bytearray(saved(photo, "PNG", icc_profile=b"some profile"))
    place = data.index(b"iCCP")
    data[place + 20] ^= 0xFF
    assert np.array_equal(read(bytes(data)).pixels, np.asarray(photo))
