"""What is refused before anything is decoded, and in which words."""

from __future__ import annotations

import struct
import time
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from daemon.codec import Format, Header, probe
from daemon.errors import BrokenPicture, PermanentError, TooManyPixels, UnsupportedPicture
from tests.codec.codec_pictures import LIBRARY, LIMIT, opened, saved


def an_archive() -> bytes:
    """A small ZIP."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "hello")
    return buffer.getvalue()


UNREAD = {
    "GIF": saved(Image.new("RGB", (4, 4)), "GIF"),
    "AVIF": saved(Image.new("RGB", (16, 16)), "AVIF"),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "PSD": b"8BPS\0\x01" + bytes(40),
    "JPEG 2000": saved(Image.new("RGB", (16, 16)), "JPEG2000"),
    "JPEG XL": b"\xff\x0a" + bytes(30),
    "ICO": saved(Image.new("RGB", (16, 16)), "ICO"),
    "BigTIFF": b"II+\0\x08\0\0\0" + bytes(30),
    "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(30),
}
NO_PICTURE = {
    "empty": b"",
    "PDF": b"%PDF-1.7\n" + bytes(30),
    "ZIP": an_archive(),
    "HTML": b"\n<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "a text": b"just some words\n",
    "zeros": bytes(5000),
    "RIFF": b"RIFF\x24\0\0\0WAVEfmt ",
    "MP4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "not a picture darkroom knows": bytes(range(128, 256)) * 4,
    "text": b"BMW makes cars, and this is no bitmap at all",
}


@pytest.mark.parametrize("name", UNREAD)
def test_pictures_of_other_formats_are_named(name: str) -> None:
    with pytest.raises(
        UnsupportedPicture, match=f"this is .*{name}.*, which darkroom does not read; convert it to PNG"
    ):
        probe(UNREAD[name], LIMIT)


@pytest.mark.parametrize("name", NO_PICTURE)
def test_what_is_no_picture_is_named_too(name: str) -> None:
    with pytest.raises(BrokenPicture, match=f"{name}.*; (give|copy)") as caught:
        probe(NO_PICTURE[name], LIMIT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", Format)
def test_the_content_decides(photo: Image.Image, format: Format) -> None:
    assert probe(saved(photo, LIBRARY[format]), LIMIT) == Header(format, photo.width, photo.height)


@pytest.mark.parametrize("format", Format)
def test_the_limit_is_in_pixels_and_inclusive(photo: Image.Image, format: Format) -> None:
    data = saved(photo, LIBRARY[format])
    pixels = photo.width * photo.height
    assert probe(data, pixels).width == photo.width
    with pytest.raises(TooManyPixels, match=r"150 × 110 pixels are 0\.0 MP, above runtime\.max_pixels \(0\.0 MP\)"):
        probe(data, pixels - 1)


@pytest.mark.parametrize(
    ("format", "library", "place", "value"),
    [
        ("PNG", "PNG", 16, struct.pack(">II", 50_000, 50_000)),
        ("JPEG", "JPEG", None, struct.pack(">HH", 50_000, 50_000)),
        ("BMP", "BMP", 18, struct.pack("<ii", 50_000, -50_000)),
        ("WebP", "WEBP", 24, struct.pack("<I", 49_999)[:3] + struct.pack("<I", 49_999)[:3]),
        ("TIFF", "TIFF", -1, b""),
    ],
)
def test_a_bomb_is_refused_from_its_header(
    photo: Image.Image, format: str, library: str, place: int | None, value: bytes
) -> None:
    data = bytearray(
        saved(photo, library, exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0") if library == "WEBP" else saved(photo, library)
    )
    if place is None:
        place = data.index(b"\xff\xc0") + 5
    if place == -1:
        for tag in (0x100, 0x101):
            entry = data.index(struct.pack("<HHI", tag, 4, 1))
            data[entry + 8 : entry + 12] = struct.pack("<I", 50_000)
    else:
        data[place : place + len(value)] = value
    for cut in (len(data), 40) if library == "PNG" else (len(data),):
        start = time.process_time()
        with pytest.raises(TooManyPixels, match=r"50000 × 50000 pixels are 2500\.0 MP, above .*\(200\.0 MP\)"):
            probe(bytes(data[:cut]), LIMIT)
        assert time.process_time() - start < 0.01


def test_zero_sides_are_broken(photo: Image.Image) -> None:
    data = bytearray(saved(photo, "PNG"))
    data[16:20] = bytes(4)
    with pytest.raises(BrokenPicture, match="0 × 110 pixels"):
        probe(bytes(data), LIMIT)


def refused() -> dict[str, tuple[bytes, str]]:
    """Files that would come out wrong, and a piece of what is said about each."""
    small = Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3))
    wide = Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257)
    floating = Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16))
    other = small.transpose(Image.Transpose.ROTATE_90)
    jpeg = bytearray(saved(small, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    return {
        "png-16": (saved(wide, "PNG"), "16 bits per channel"),
        "tiff-16": (saved(wide, "TIFF"), "16 bits per channel"),
        "tiff-float": (saved(floating, "TIFF"), "32 bits per channel"),
        "tiff-cmyk": (saved(small.convert("CMYK"), "TIFF"), "CMYK; convert it to RGB"),
        "tiff-lab": (saved(small.convert("LAB"), "TIFF"), "Lab; convert it to RGB"),
        "tiff-pages": (saved(small, "TIFF", save_all=True, append_images=[other]), "several pages"),
        "jpeg-cmyk": (saved(small.convert("CMYK"), "JPEG"), "CMYK JPEG"),
        "jpeg-12": (bytes(jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :]), "12 bits per sample"),
        "jpeg-arithmetic": (bytes(jpeg[: frame + 1] + b"\xc9" + jpeg[frame + 2 :]), "arithmetic-coded"),
        "jpeg-lossless": (bytes(jpeg[: frame + 1] + b"\xc3" + jpeg[frame + 2 :]), "lossless"),
        "webp-animated": (saved(small, "WEBP", save_all=True, append_images=[other]), "animated WebP"),
        "png-animated": (saved(small, "PNG", save_all=True, append_images=[other]), "animated PNG"),
    }


@pytest.mark.parametrize("name", refused())
def test_pictures_that_would_come_out_wrong_are_refused_with_a_remedy(name: str) -> None:
    data, words = refused()[name]
    with pytest.raises(UnsupportedPicture, match=words) as caught:
        probe(data, LIMIT)
    assert ";" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tiff_with_a_smaller_copy_is_one_picture(photo: Image.Image) -> None:
    small = photo.resize((20, 20))
    data = bytearray(saved(photo, "TIFF", save_all=True, append_images=[small], tiffinfo={254: 0}))
    entry = data.rindex(struct.pack("<HHI", 254, 4, 1))
    data[entry + 8] = 1
    assert probe(bytes(data), LIMIT) == Header(Format.TIFF, *photo.size)
    assert opened(bytes(data)).size == photo.size


def test_a_tiff_whose_pages_run_in_a_circle_ends(photo: Image.Image) -> None:
    data = bytearray(saved(photo, "TIFF", tiffinfo={254: 4}))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    data[start + 2 + 12 * count : start + 6 + 12 * count] = struct.pack("<I", start)
    with pytest.raises(UnsupportedPicture, match="several pages"):
        probe(bytes(data), LIMIT)


@pytest.mark.parametrize("number", [0xC612, 0xFE])
def test_camera_raw_in_tiff_is_refused(photo: Image.Image, number: int) -> None:
    data = saved(photo, "TIFF", tiffinfo={number: 1})
    with pytest.raises(UnsupportedPicture, match="camera raw"):
        probe(data, LIMIT)


def test_all_refusals_are_permanent() -> None:
    for data in (*UNREAD.values(), *NO_PICTURE.values(), *(data for data, _ in refused().values())):
        with pytest.raises(PermanentError):
            probe(data, LIMIT)
