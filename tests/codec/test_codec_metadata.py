"""What travels beside the pixels, and what must not."""

from __future__ import annotations

import itertools
import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from daemon.codec import Format, Metadata, encode
from tests.codec.codec_pictures import COMMENT, LIBRARY, MAKER_NOTE, OPTIONS, exif_block, opened, read, rewritten, saved

HOLD_EXIF = [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LARGE = SRGB + bytes(range(256)) * 600
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]
CMYK = SRGB[:16] + b"CMYK" + SRGB[20:]
THUMBNAIL = b"\xff\xd8\xff\xe0THUMB"


def with_exif(photo: Image.Image, format: Format, block: bytes) -> bytes:
    """A file of this format with this EXIF, byte for byte: Pillow writes TIFF's tags anew, so there it is by hand."""
    if format is Format.TIFF:
        return _tiff_with_exif(photo, block)
    return saved(photo, LIBRARY[format], exif=b"Exif\0\0" + block)


def _tiff_with_exif(photo: Image.Image, block: bytes) -> bytes:
    """The EXIF block itself as the file: its IFD0 gains the tags of the picture, and stands behind them."""
    order = "<" if block[:2] == b"II" else ">"
    (count,) = struct.unpack_from(order + "H", block, 8)
    table = {
        struct.unpack_from(order + "H", block, 10 + 12 * i)[0]: block[10 + 12 * i : 22 + 12 * i] for i in range(count)
    }
    following = block[10 + 12 * count : 14 + 12 * count]
    pixels = len(block) + len(block) % 2
    size = photo.width * photo.height * 3
    bits, at = pixels + size, pixels + size + 6
    picture = [(0x100, photo.width), (0x101, photo.height), (0x103, 1), (0x106, 2), (0x111, pixels), (0x115, 3)]
    picture += [(0x116, photo.height), (0x117, size)]
    for tag, value in picture:
        table[tag] = struct.pack(order + "HHII", tag, 4, 1, value)
    table[0x102] = struct.pack(order + "HHII", 0x102, 3, 3, bits)
    body = block.ljust(pixels, b"\0") + photo.tobytes() + struct.pack(order + "HHH", 8, 8, 8)
    directory = struct.pack(order + "H", len(table)) + b"".join(table[tag] for tag in sorted(table)) + following
    return body[:4] + struct.pack(order + "I", at) + body[8:] + directory


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("source", "target"), list(itertools.product(HOLD_EXIF, HOLD_EXIF)))
def test_exif_is_kept_but_what_may_show_the_original(
    photo: Image.Image, source: Format, target: Format, order: str
) -> None:
    if source is Format.TIFF:
        block = exif_block(order, orientation=6)
        data = _as_pyramid(with_exif(photo, source, block), order)
    else:
        data = with_exif(photo, source, exif_block(order, orientation=6))
    assert THUMBNAIL in data
    assert MAKER_NOTE in data
    output = rewritten(data, target)
    assert b"THUMB" not in output
    assert b"MAKERNOTE" not in output
    image = opened(output)
    assert image.size == (photo.height, photo.width)
    _check_exif(image.getexif())


def _as_pyramid(data: bytes, order: str) -> bytes:
    """The thumbnail's directory marked as one, as a TIFF with a second page must."""
    at = 3000
    tag = data.index(struct.pack(order + "HHI", 0x103, 3, 1), at)
    return data[:tag] + struct.pack(order + "HHII", 0xFE, 4, 1, 1) + data[tag + 12 :]


def _check_exif(exif: Image.Exif) -> None:
    assert exif[0x10F] == "Acme Ltd"
    assert exif[0x110] == "Box"
    assert exif[0x112] == 1
    assert exif[0x11A] == 72
    camera = exif.get_ifd(0x8769)
    assert camera[0x829A] == 1 / 250
    assert camera[0x9003] == "2024:05:06 07:08:09"
    assert camera[0x9286] == COMMENT
    assert not {0x927C, 0xA002} & camera.keys()
    gps = exif.get_ifd(0x8825)
    assert gps[1] == "N"
    assert tuple(gps[2]) == (48, 12, 34)
    assert not exif.get_ifd(0x201)


def test_exif_holds_its_values_byte_for_byte_a_second_time(photo: Image.Image) -> None:
    first = read(with_exif(photo, Format.JPEG, exif_block())).metadata.exif
    assert first is not None
    assert read(with_exif(photo, Format.JPEG, first)).metadata.exif == first


def test_bmp_drops_metadata(photo: Image.Image) -> None:
    output = rewritten(saved(photo, "PNG", exif=exif_block(), icc_profile=SRGB), Format.BMP)
    assert b"Acme" not in output
    assert not opened(output).info.get("icc_profile")


@pytest.mark.parametrize("target", HOLD_EXIF)
def test_large_exif_is_dropped_only_where_it_does_not_fit(photo: Image.Image, target: Format) -> None:
    output = opened(rewritten(saved(photo, "PNG", exif=exif_block(pad=70_000)), target))
    assert output.size == photo.size
    assert output.getexif().get(0x10F) == (None if target is Format.JPEG else "Acme Ltd")


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 30,
        b"garbage that is no TIFF at all",
        exif_block()[:200],
        exif_block()[:1010],
        b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) * 2 + b"\0" * 4,
        b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x10F, 2, 0xFFFFFFFF, 8) + b"\0" * 4,
    ],
)
@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP])
def test_malformed_exif_never_fails_a_picture(photo: Image.Image, format: Format, block: bytes) -> None:
    data = saved(photo, LIBRARY[format], exif=b"Exif\0\0" + block)
    picture = read(data)
    assert picture.pixels.shape == (photo.height, photo.width, 3)
    for target in HOLD_EXIF:
        assert opened(encode(picture.pixels, None, picture.metadata, target, OPTIONS)).size == photo.size


def test_overlapping_values_do_not_multiply(photo: Image.Image) -> None:
    many = 4000
    table = b"".join(struct.pack("<HHII", 0xE000 + i % 0x1000, 2, 16_000, 8) for i in range(many))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", many) + table + b"\0" * 4
    assert read(with_exif(photo, Format.JPEG, block)).metadata.exif is None


@pytest.mark.parametrize("kind", [1, 7])
def test_a_picture_in_an_unknown_tag_is_dropped(photo: Image.Image, kind: int) -> None:
    for value in (b"\0" * 5000, b"xx\xff\xd8\xff\xe0yyyy", b"\x89PNG\r\n\x1a\nmore"):
        at = 8 + 2 + 12 * 2 + 4
        entries = struct.pack("<HHI4s", 0x110, 2, 4, b"Box\0") + struct.pack("<HHII", 0xC000, kind, len(value), at)
        block = b"II*\0\x08\0\0\0\x02\0" + entries + b"\0" * 4 + value
        exif = opened(rewritten(with_exif(photo, Format.JPEG, block), Format.JPEG)).getexif()
        assert dict(exif) == {0x110: "Box"}


def test_other_places_for_previews_are_dropped(photo: Image.Image) -> None:
    secret = b"SECRET PREVIEW"
    data = saved(photo, "JPEG", comment=secret, xmp=b"<x:xmpmeta>" + secret + b"</x:xmpmeta>")
    photoshop = b"Photoshop 3.0\0" + secret
    data = data[:2] + b"\xff\xed" + struct.pack(">H", len(photoshop) + 2) + photoshop + data[2:] + secret
    for target in Format:
        assert secret not in rewritten(data, target)


@pytest.mark.parametrize("profile", [SRGB, LARGE, b"no profile at all, but what the file had"])
@pytest.mark.parametrize(("source", "target"), list(itertools.product(HOLD_EXIF, HOLD_EXIF)))
def test_icc_is_kept_byte_for_byte(photo: Image.Image, source: Format, target: Format, profile: bytes) -> None:
    data = saved(photo, LIBRARY[source], icc_profile=profile)
    assert opened(rewritten(data, target)).info.get("icc_profile") == profile


def test_icc_in_parts_out_of_order_is_joined_and_one_missing_is_dropped(photo: Image.Image) -> None:
    data = saved(photo, "JPEG", icc_profile=LARGE)
    parts, start = [], data.index(b"\xff\xe2")
    position = start
    while data[position : position + 2] == b"\xff\xe2":
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        parts.append(data[position:end])
        position = end
    assert len(parts) == 3
    assert read(data[:start] + b"".join(parts[::-1]) + data[position:]).metadata.icc == LARGE
    assert read(data[:start] + b"".join(parts[:2]) + data[position:]).metadata.icc is None


@pytest.mark.parametrize("target", HOLD_EXIF)
def test_profiles_stand_only_beside_their_own_colours(photo: Image.Image, target: Format) -> None:
    gray = np.array(photo.convert("L"))[..., np.newaxis].repeat(3, -1)

    def profile(pixels: Any, gray_source: bool, icc: bytes) -> bytes | None:
        metadata = Metadata(Format.PNG, gray=gray_source, icc=icc)
        found = opened(encode(pixels, None, metadata, target, OPTIONS)).info.get("icc_profile")
        assert found is None or isinstance(found, bytes)
        return found or None

    assert profile(gray, True, GRAY) == (None if target is Format.WEBP else GRAY)  # WebP knows no gray
    assert profile(np.array(photo), True, GRAY) is None
    assert profile(gray, False, SRGB) == SRGB
    assert profile(np.array(photo), False, CMYK) is None
    if target is not Format.WEBP:
        assert profile(gray, True, SRGB) is None


def test_a_profile_that_unfolds_without_end_is_dropped(photo: Image.Image) -> None:
    data = saved(photo, "PNG", icc_profile=bytes(40 << 20))
    assert len(data) < 200_000
    assert read(data).metadata.icc is None


@pytest.mark.parametrize("target", [Format.JPEG, Format.PNG, Format.TIFF, Format.BMP])
@pytest.mark.parametrize("source", [Format.JPEG, Format.PNG, Format.TIFF, Format.BMP])
def test_density_is_kept(photo: Image.Image, source: Format, target: Format) -> None:
    output = opened(rewritten(saved(photo, LIBRARY[source], dpi=(300, 150)), target))
    assert output.info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_density_turns_with_the_picture(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    for source in ("JPEG", "PNG"):
        data = saved(photo, source, dpi=(300, 150), exif=exif)
        assert opened(rewritten(data, Format.PNG)).info["dpi"] == pytest.approx((150, 300), abs=0.02)


def test_nonsense_densities_are_dropped(photo: Image.Image) -> None:
    data = saved(photo, "PNG", dpi=(50_000_000, 1))
    for target in Format:
        assert Image.open(BytesIO(rewritten(data, target))).size == photo.size
