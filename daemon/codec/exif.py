"""EXIF: the orientation, and a copy without anything that could show the picture as it was before the work.

EXIF is a small TIFF: IFD0 with directories for Exif, GPS and Interoperability. It is read and written anew, value by
value, so that nothing outside the directories survives: a thumbnail, cut out by name only, would still be there for
whoever looks for its first bytes.
"""

from __future__ import annotations

import struct

from daemon.codec import ifd

_ORIENTATION = 0x0112
_USER_COMMENT = 0x9286
_OPAQUE = {1, 6, 7}  # BYTE, SBYTE, UNDEFINED: may hold anything
_CHILDREN: ifd.Children = {0x8769: {0xA005: {}}, 0x8825: {}}  # IFD0 → Exif → Interoperability; IFD0 → GPS

# How the source's own pixels are stored, which is not true of the output; in a TIFF, EXIF's tags stand among these.
# The EXIF pixel dimensions (0xA002, 0xA003) would be wrong after a rotation or a resize.
_STRUCTURE = frozenset(
    {*range(0x00FE, 0x0104), 0x0106, *range(0x0107, 0x010B), 0x0111, *range(0x0115, 0x011A), 0x011C, 0x0122, 0x0123}
    | {0x0124, 0x0125, 0x013D, *range(0x0140, 0x0147), 0x014A, 0x014C, 0x014D, 0x014E, *range(0x0150, 0x0157), 0x015B}
    | {*range(0x0200, 0x020A), *range(0x0211, 0x0215), 0xA002, 0xA003}
)
# May hold a preview or the layers of the original: MakerNote, XMP, IPTC, Photoshop, GDI+ thumbnails, DNG, padding.
_REVEALING = frozenset(
    {0x02BC, 0x83BB, 0x8649, 0x8773, 0x927C, 0x935C, 0xEA1C, 0xEA1D}
    | {*range(0x5000, 0x5114), *range(0xC612, 0xC800), *range(0xCD00, 0xCE00)}
)
_DROPPED = _STRUCTURE | _REVEALING
_PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n")
_MAX_OPAQUE = 4096  # bytes: a 36×36 thumbnail in an unknown tag is above this, and no standard tag needs as much


def orientation(tiff: bytes) -> int:
    """The EXIF orientation, 1–8; 1 where it is missing, out of range, or the structure is malformed."""
    try:
        order, offset = ifd.start(tiff)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
    except (struct.error, ValueError):
        return 1
    table = tiff[offset + 2 : offset + 2 + 12 * count]
    for tag, kind, _, short, _ in struct.iter_unpack(order + "HHIHH", table[: len(table) // 12 * 12]):
        if tag == _ORIENTATION and kind == ifd.SHORT:
            return short if 1 <= short <= 8 else 1
    return 1


def clean(tiff: bytes) -> bytes | None:
    """The same EXIF in new bytes: orientation 1, no IFD1, no MakerNote, nothing that holds a picture.

    Takes an EXIF block without its `Exif` prefix, or a whole TIFF file. None where nothing is left or the structure
    is malformed: EXIF never fails a picture.
    """
    try:
        order, offset = ifd.start(tiff)
        kept = ifd.read(tiff, order, offset, _CHILDREN, _harmless).entries
    except (struct.error, ValueError):
        return None
    if not kept:
        return None
    upright = ifd.Entry(_ORIENTATION, ifd.SHORT, 1, struct.pack(order + "H", 1))
    kept = [upright if entry.tag == _ORIENTATION else entry for entry in kept]
    return ifd.header(order, 8) + ifd.write(kept, order, 8)


def entries(cleaned: bytes) -> list[ifd.Entry]:
    """What `clean` gave, as values."""
    order, offset = ifd.start(cleaned)
    return ifd.read(cleaned, order, offset, _CHILDREN, lambda _: True).entries


def _harmless(entry: ifd.Entry) -> bool:
    if entry.tag in _DROPPED:
        return False
    if isinstance(entry.value, list):
        return True
    if entry.type in _OPAQUE and len(entry.value) > _MAX_OPAQUE and entry.tag != _USER_COMMENT:
        return False
    return not any(start in entry.value for start in _PICTURE_STARTS)
