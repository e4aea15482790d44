"""Which format the bytes are, by content alone; a file name proves nothing."""

from __future__ import annotations

from daemon.codec.values import Format
from daemon.errors import BrokenPicture, PermanentError, UnsupportedPicture

_PICTURES = (
    (b"GIF87a", "a GIF"),
    (b"GIF89a", "a GIF"),
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL"),
    (b"II+\x00", "a BigTIFF"),
    (b"MM\x00+", "a BigTIFF"),
    (b"II\xbc\x01", "a JPEG XR"),
    (b"IIRO", "a camera raw file (ORF)"),
    (b"IIU\x00", "a camera raw file (RW2)"),
    (b"FUJIFILMCCD-RAW", "a camera raw file (RAF)"),
    (b"\x00\x00\x01\x00", "a Windows icon (ICO)"),
    (b"\x00\x00\x02\x00", "a Windows cursor (CUR)"),
    (b"v/1\x01", "an OpenEXR"),
    (b"#?RADIANCE", "a Radiance HDR"),
    (b"qoif", "a QOI"),
    (b"gimp xcf", "a GIMP file (XCF)"),
    (b"DDS ", "a DirectDraw surface (DDS)"),
    (b"\x8aMNG\r\n\x1a\n", "an MNG"),
    (b"AT&TFORM", "a DjVu"),
)
_OTHERS = (
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive (or an office document)"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"OggS", "an Ogg sound or video"),
    (b"ID3", "a sound file (MP3)"),
    (b"RIFF", "a sound or video file (RIFF)"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
)
_HEIF_BRANDS = {
    b"avif": "an AVIF",
    b"avis": "an AVIF sequence",
    b"heic": "a HEIC",
    b"heix": "a HEIC",
    b"hevc": "a HEIC sequence",
    b"hevx": "a HEIC sequence",
    b"mif1": "a HEIF",
    b"msf1": "a HEIF sequence",
    b"crx ": "a camera raw file (CR3)",
}
_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n\f\x1b"


def recognise(data: bytes) -> Format:
    """The format of these bytes.

    Raises:
        UnsupportedPicture: a picture of a format darkroom does not read.
        BrokenPicture: no picture at all; the text says what it seems to be.
    """
    start = data[:12]
    if start.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if start.startswith(b"RIFF") and start[8:] == b"WEBP":
        return Format.WEBP
    if start.startswith((b"II*\x00", b"MM\x00*")):
        return Format.TIFF
    if start.startswith(b"BM") and _is_bmp(data):
        return Format.BMP
    raise _refusal(data)


def _is_bmp(data: bytes) -> bool:
    """Two letters prove little (a text may begin with them): the size of the second header must be a known one."""
    return data[14:18] in {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}


def _refusal(data: bytes) -> PermanentError:
    if not data:
        return BrokenPicture("the file is empty; copy or download it again")
    for signature, name in _PICTURES:
        if data.startswith(signature):
            return _unread(name)
    if data[4:8] == b"ftyp":
        brand = _HEIF_BRANDS.get(data[8:12])
        return _unread(brand) if brand else _no_picture("a video (MP4 or QuickTime)")
    for signature, name in _OTHERS:
        if data.startswith(signature):
            return _no_picture(name)
    return _textual(data)


def _textual(data: bytes) -> PermanentError:
    start = data[:1024].removeprefix(b"\xef\xbb\xbf")
    lowered = start.lstrip().lower()
    if b"<svg" in lowered:
        return _unread("an SVG drawing")
    if lowered.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return _no_picture("a web page (HTML)")
    if not start.translate(None, _TEXT):
        return _no_picture("a text")
    if not data.strip(b"\0"):
        return BrokenPicture("the file holds nothing but zeros; copy or download it again")
    return BrokenPicture("this is not a picture darkroom knows; give it a JPEG, PNG, WebP, TIFF or BMP")


def _unread(name: str) -> UnsupportedPicture:
    return UnsupportedPicture(f"this is {name}, which darkroom does not read; convert it to PNG or JPEG")


def _no_picture(name: str) -> BrokenPicture:
    return BrokenPicture(f"this is {name}, not a picture; give darkroom a JPEG, PNG, WebP, TIFF or BMP")
