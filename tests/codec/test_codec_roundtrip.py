"""Pictures through every pair of formats, read back by Pillow."""

from __future__ import annotations

import itertools
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from daemon.codec import Format, Metadata, encode, format_of, probe
from daemon.errors import BrokenPicture, OutputRefused
from daemon.model import EncodeOptions
from tests.codec.codec_pictures import LIBRARY, LIMIT, OPTIONS, Array, opened, psnr, read, rewritten, saved

LOSSLESS_WEBP = EncodeOptions(webp_lossless=True)
WITH_ALPHA = (Format.PNG, Format.WEBP, Format.TIFF)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(Format, Format)))
def test_every_pair_of_formats_keeps_the_picture(photograph: Array, source: Format, target: Format) -> None:
    exact = {"lossless": True} if source is Format.WEBP else {"quality": 95} if source is Format.JPEG else {}
    data = saved(Image.fromarray(photograph[::2, ::2]), LIBRARY[source], **exact)
    output = opened(rewritten(data, target, OPTIONS))
    assert output.format == LIBRARY[target]
    found = psnr(np.asarray(output.convert("RGB")), np.asarray(opened(data).convert("RGB")))
    lossy = target is Format.JPEG or (target is Format.WEBP and source is not Format.WEBP)
    assert found > 33 if lossy else found == float("inf")


@pytest.mark.parametrize("format", [Format.PNG, Format.TIFF, Format.BMP, Format.WEBP])
def test_lossless_formats_give_back_every_pixel(photograph: Array, format: Format) -> None:
    data = encode(photograph, None, Metadata(format), format, LOSSLESS_WEBP)
    assert np.array_equal(np.asarray(opened(data)), photograph)
    assert np.array_equal(read(data).pixels, photograph)


def test_jpeg_quality_is_the_options(photograph: Array) -> None:
    sizes = []
    for quality in (50, 80, 95):
        data = encode(photograph, None, Metadata(Format.JPEG), Format.JPEG, EncodeOptions(jpeg_quality=quality))
        sizes.append((len(data), psnr(np.asarray(opened(data)), photograph)))
    assert sizes == sorted(sizes)
    assert sizes[-1][1] > 38


def test_decoded_pixels_are_contiguous_rgb_and_their_own(photo: Image.Image) -> None:
    for format in Format:
        pixels = read(saved(photo, LIBRARY[format])).pixels
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable
        assert pixels.dtype == np.uint8
        assert pixels.shape == (photo.height, photo.width, 3)


@pytest.mark.parametrize("chroma", ["444", "422", "420", "440", "411"])
def test_a_jpeg_keeps_its_chroma_subsampling(photo: Image.Image, chroma: str) -> None:
    data = simplejpeg.encode_jpeg(np.array(photo), 90, "RGB", chroma)
    assert simplejpeg.decode_jpeg_header(rewritten(data, Format.JPEG))[3] == chroma


@pytest.mark.parametrize(("quality", "chroma"), [(89, "420"), (90, "444")])
def test_other_sources_get_fine_chroma_from_quality_90(photo: Image.Image, quality: int, chroma: str) -> None:
    data = rewritten(saved(photo, "PNG"), Format.JPEG, EncodeOptions(jpeg_quality=quality))
    assert simplejpeg.decode_jpeg_header(data)[3] == chroma


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"restart_marker_rows": 1}, {"keep_rgb": True}, {"optimize": True, "comment": b"hello"}],
)
def test_jpeg_varieties_decode_as_pillow_does(photo: Image.Image, options: dict[str, Any]) -> None:
    data = saved(photo, "JPEG", **options)
    assert np.array_equal(read(data).pixels, np.asarray(opened(data)))


def test_jpeg_with_padding_before_its_end_and_with_a_tail_is_whole(photo: Image.Image) -> None:
    data = saved(photo, "JPEG")
    for variety in (data[:-2] + b"\0\0\0" + data[-2:], data + b"trailing" * 100):
        assert np.array_equal(read(variety).pixels, np.asarray(opened(data)))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("1", {}),
        ("L", {}),
        ("LA", {}),
        ("P", {}),
        ("P", {"bits": 1}),
        ("P", {"bits": 2}),
        ("P", {"bits": 4}),
        ("P", {"transparency": 3}),
        ("P", {"transparency": bytes(range(0, 200, 3))}),
        ("RGBA", {}),
        ("L", {"transparency": 90}),
        ("RGB", {"transparency": (10, 20, 30)}),
    ],
)
def test_png_varieties_decode_as_pillow_does(
    photo: Image.Image, sheer: Image.Image, mode: str, options: dict[str, Any]
) -> None:
    if mode == "P":
        image = photo.quantize(1 << options.get("bits", 6))
    elif mode in ("LA", "RGBA"):
        image = sheer.convert(mode)
    else:
        image = photo.convert(mode)
    if mode == "RGB":
        image.putpixel((3, 4), (10, 20, 30))
    data = saved(image, "PNG", **options)
    expected, picture = opened(data), read(data)
    assert np.array_equal(picture.pixels, np.asarray(expected.convert("RGBA"))[..., :3])
    if expected.has_transparency_data:
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha, np.asarray(expected.convert("RGBA"))[..., 3])
    else:
        assert picture.alpha is None
    assert picture.metadata.gray == (mode in ("1", "L", "LA"))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_gray_levels_with_one_transparent(bits: int) -> None:
    levels = np.arange(16, dtype=np.uint8)[np.newaxis].repeat(3, 0) % (1 << bits)
    data = _gray_png(levels, bits, transparent=1)
    picture = read(data)
    scaled = levels * (255 // ((1 << bits) - 1))
    assert np.array_equal(picture.pixels[..., 0], scaled)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.where(levels == 1, 0, 255))


def _gray_png(levels: Array, bits: int, transparent: int) -> bytes:
    digits = ((levels[..., np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1).reshape(len(levels), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in digits)
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, 0, 0, 0, 0)
    return _png(header, _chunk(b"tRNS", struct.pack(">H", transparent)), rows)


def _png(header: bytes, between: bytes, rows: bytes) -> bytes:
    data = _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + between + data


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_interlaced_png(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in pixels[y::dy, x::dx])
    header = struct.pack(">IIBBBBB", photo.width, photo.height, 8, 2, 0, 0, 1)
    assert np.array_equal(read(_png(header, b"", rows)).pixels, pixels)


def test_run_length_bmp_and_its_truncations() -> None:
    levels = np.array([[5, 5, 5, 9], [7, 7, 7, 7]], np.uint8)
    palette = bytes(v for level in range(256) for v in (level, 255 - level, 0, 0))
    body = bytes([4, 7, 0, 0, 3, 5, 1, 9, 0, 0, 0, 1])  # from the bottom row up
    head = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, 1, len(body), 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + head + palette + body
    assert np.array_equal(read(data).pixels, np.dstack((levels * 0, 255 - levels, levels)))
    for end in range(len(data)):
        with pytest.raises(BrokenPicture):
            read(data[:end])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp_varieties_decode_as_pillow_does(sheer: Image.Image, mode: str) -> None:
    image = sheer.convert("RGB").quantize(200) if mode == "P" else sheer.convert(mode)
    data = saved(image, "BMP")
    picture = read(data)
    assert np.array_equal(picture.pixels, np.asarray(opened(data).convert("RGB")))
    assert picture.metadata.gray == (mode in ("1", "L"))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_tiff_varieties_decode_as_pillow_does(photo: Image.Image, mode: str, compression: str | None) -> None:
    if (mode, compression) == ("P", "jpeg"):
        pytest.skip("JPEG holds no palette")
    image = photo.quantize(100) if mode == "P" else photo.convert(mode)
    data = saved(image, "TIFF", compression=compression)
    picture = read(data)
    assert np.array_equal(picture.pixels, np.asarray(opened(data).convert("RGB")))
    assert picture.metadata.gray == (mode == "L")


@pytest.mark.parametrize("compression", ["group3", "group4", None])
def test_fax_tiff_becomes_gray(photo: Image.Image, compression: str | None) -> None:
    data = saved(photo.convert("1"), "TIFF", compression=compression)
    picture = read(data)
    assert np.array_equal(picture.pixels, np.asarray(opened(data).convert("RGB")))
    assert opened(rewritten(data, Format.TIFF)).mode == "L"


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_tiff_keeps_its_compression(sheer: Image.Image, mode: str, compression: str) -> None:
    data = saved(sheer.convert(mode), "TIFF", compression=compression)
    output = opened(rewritten(data, Format.TIFF))
    assert output.mode == mode
    assert np.array_equal(np.asarray(output), np.asarray(opened(data)))
    if mode != "LA":
        assert output.info["compression"] == compression


def test_lossless_webp_stays_lossless(photo: Image.Image) -> None:
    data = saved(photo, "WEBP", lossless=True)
    assert b"VP8L" in rewritten(data, Format.WEBP)
    assert b"VP8L" not in rewritten(saved(photo, "WEBP"), Format.WEBP)
    assert b"VP8L" in rewritten(saved(photo, "PNG"), Format.WEBP, LOSSLESS_WEBP)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(WITH_ALPHA, WITH_ALPHA)))
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept(sheer: Image.Image, gradient: Array, source: Format, target: Format, mode: str) -> None:
    if (source, mode) == (Format.WEBP, "LA"):
        pytest.skip("WebP has no gray")
    data = saved(sheer.convert(mode), LIBRARY[source], lossless=True, exact=True)
    picture = read(data)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, gradient)
    output = opened(rewritten(data, target, LOSSLESS_WEBP))
    assert output.mode == ("RGBA" if target is Format.WEBP else mode)
    assert np.array_equal(np.asarray(output.convert("RGBA")), np.asarray(sheer.convert(mode).convert("RGBA")))


def test_premultiplied_tiff_is_divided_by_its_alpha(photo: Image.Image) -> None:
    image = photo.copy()
    image.putalpha(128)
    data = bytearray(saved(image.convert("RGBa").convert("RGBA"), "TIFF"))
    extra = data.index(b"\x52\x01\x03\x00\x01\x00\x00\x00\x02\x00")
    data[extra + 8] = 1
    picture = read(bytes(data))
    assert picture.alpha is not None
    assert (picture.alpha == 128).all()
    assert np.array_equal(picture.pixels, np.asarray(opened(bytes(data)).convert("RGB")))


def test_alpha_follows_a_resized_picture(photo: Image.Image, gradient: Array) -> None:
    pixels = np.array(photo.resize((75, 55)))
    output = opened(encode(pixels, gradient, Metadata(Format.PNG), Format.PNG, OPTIONS))
    expected = np.asarray(Image.fromarray(gradient).resize((75, 55), Image.Resampling.LANCZOS))
    assert np.array_equal(np.asarray(output)[..., 3], expected)


@pytest.mark.parametrize("target", [Format.JPEG, Format.BMP])
def test_transparency_is_never_lost_silently(sheer: Image.Image, target: Format) -> None:
    with pytest.raises(OutputRefused, match=r"cannot hold .* transparency; let the output end in \.png"):
        rewritten(saved(sheer, "PNG"), target)
    opaque = sheer.copy()
    opaque.putalpha(255)
    assert opened(rewritten(saved(opaque, "PNG"), target)).mode == "RGB"


@pytest.mark.parametrize("target", [Format.JPEG, Format.PNG, Format.TIFF, Format.BMP])
@pytest.mark.parametrize("source", [Format.JPEG, Format.PNG, Format.TIFF, Format.BMP])
def test_gray_stays_gray(photo: Image.Image, source: Format, target: Format) -> None:
    data = saved(photo.convert("L"), LIBRARY[source])
    picture = read(data)
    assert picture.metadata.gray
    assert np.array_equal(picture.pixels[..., 0], picture.pixels[..., 2])
    assert opened(rewritten(data, target)).mode == "L"


def test_gray_source_made_colourful_is_written_in_colour(photo: Image.Image) -> None:
    metadata = read(saved(photo.convert("L"), "PNG")).metadata
    assert opened(encode(np.array(photo), None, metadata, Format.PNG, OPTIONS)).mode == "RGB"


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(photo: Image.Image, format: Format, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    best = {"lossless": True} if format is Format.WEBP else {"quality": 95, "subsampling": 0}
    data = saved(photo, LIBRARY[format], exif=exif, **best)
    swapped = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's Transpose methods
    upright = photo.transpose(Image.Transpose(swapped[orientation])) if orientation > 1 else photo
    header, picture = probe(data, LIMIT), read(data)
    assert (header.width, header.height) == upright.size
    assert psnr(picture.pixels, np.asarray(upright)) > (35 if format is Format.JPEG else 1000)
    for target in (Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF):
        assert opened(rewritten(data, target)).getexif().get(0x112, 1) == 1


def test_alpha_is_turned_with_the_picture(sheer: Image.Image, gradient: Array) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    for format in WITH_ALPHA:
        picture = read(saved(sheer, LIBRARY[format], exif=exif, lossless=True, exact=True))
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha, np.rot90(gradient, -1))


def test_sides_beyond_a_format_are_refused() -> None:
    strip = np.zeros((2, 16384, 3), np.uint8)
    with pytest.raises(OutputRefused, match=r"16384 × 2 pixels do not fit a WebP"):
        encode(strip, None, Metadata(Format.PNG), Format.WEBP, OPTIONS)
    strip = np.zeros((65501, 1, 3), np.uint8)
    with pytest.raises(OutputRefused, match=r"1 × 65501 pixels do not fit a JPEG"):
        encode(strip, None, Metadata(Format.PNG), Format.JPEG, OPTIONS)
    strip = np.zeros((1, 1_000_001, 3), np.uint8)
    with pytest.raises(OutputRefused, match=r"1000001 × 1 pixels do not fit"):
        encode(strip, None, Metadata(Format.PNG), Format.PNG, OPTIONS)


def test_one_pixel_goes_through_every_format() -> None:
    pixel = np.full((1, 1, 3), 77, np.uint8)
    for format in Format:
        data = encode(pixel, None, Metadata(format), format, LOSSLESS_WEBP)
        assert abs(int(read(data).pixels[0, 0, 0]) - 77) < 3


def test_threads_get_the_same_bytes(photograph: Array) -> None:
    def work(format: Format) -> bytes:
        return rewritten(encode(photograph, None, Metadata(format), format, OPTIONS), format)

    jobs = [Format.JPEG, Format.PNG, Format.TIFF, Format.BMP] * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, jobs)) == [work(job) for job in jobs]


@pytest.mark.parametrize(
    ("extension", "format"),
    [
        ("jpg", Format.JPEG),
        (".JPEG", Format.JPEG),
        ("tif", Format.TIFF),
        (".TIFF", Format.TIFF),
        ("png", Format.PNG),
        (".WebP", Format.WEBP),
        ("bmp", Format.BMP),
        ("gif", None),
        ("", None),
        (".", None),
    ],
)
def test_format_of(extension: str, format: Format | None) -> None:
    assert format_of(extension) == format
