"""TIFF's directories of tagged values, on which both TIFF and EXIF are built: read as values, written anew.

A file is `II*\\0` or `MM\\0*`, then the offset of the first directory; a directory is a count, entries of twelve bytes
(tag, type, number of values, the values or their offset), and the offset of the next directory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

SHORT, LONG = 3, 4
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NUMBERS = {1: "B", SHORT: "H", LONG: "I"}

Children: TypeAlias = Mapping[int, "Children"]  # tags that point to a directory, and what that one may hold


class Entry(NamedTuple):
    """One tag. `number`: how many values of `type`; `value`: their bytes, or the directory the tag points to."""

    tag: int
    type: int
    number: int
    value: bytes | list[Entry]


Keep: TypeAlias = Callable[[Entry], bool]


class Directory(NamedTuple):
    """A directory, and the offset of the one after it (0: none; None: the data ends before it, as EXIF's may)."""

    entries: list[Entry]
    following: int | None


def start(data: bytes) -> tuple[str, int]:
    """Byte order as struct writes it, and the offset of the first directory.

    Raises:
        ValueError: no TIFF.
        struct.error: too short.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None:
        raise ValueError("no TIFF header")
    return order, struct.unpack_from(order + "I", data, 4)[0]


def read(data: bytes, order: str, offset: int, children: Children, keep: Keep) -> Directory:
    """The directory at `offset`, with those its `children` tags point to; entries that `keep` refuses are left out.

    Raises:
        ValueError: the values together are longer than the file: they overlap, which would multiply one large value.
        struct.error: the directory is not wholly in the data.
    """
    (count,) = struct.unpack_from(order + "H", data, offset)
    entries: list[Entry] = []
    total = 0
    for index in range(count):
        entry = _entry(data, order, offset + 2 + 12 * index, children, keep)
        if entry is not None and keep(entry):
            entries.append(entry)
            total += len(entry.value)
            if total > len(data):
                raise ValueError("overlapping values")
    after = data[offset + 2 + 12 * count :][:4]
    return Directory(entries, struct.unpack(order + "I", after)[0] if len(after) == 4 else None)


def _entry(data: bytes, order: str, position: int, children: Children, keep: Keep) -> Entry | None:
    """None where the type is unknown or the value not wholly in the data."""
    tag, kind, number, pointer = struct.unpack_from(order + "HHII", data, position)
    if tag in children:
        return _child(data, order, pointer, Entry(tag, LONG, 1, []), children[tag], keep)
    size = _SIZES.get(kind, 0) * number
    begin = position + 8 if size <= 4 else pointer
    if size == 0 or begin + size > len(data):
        return None
    return Entry(tag, kind, number, data[begin : begin + size])


def _child(data: bytes, order: str, offset: int, entry: Entry, children: Children, keep: Keep) -> Entry | None:
    """A subdirectory that cannot be read is dropped by itself; the rest is still good."""
    try:
        entries = read(data, order, offset, children, keep).entries
    except (struct.error, ValueError):
        return None
    return entry._replace(value=entries) if entries else None


def numbers(entry: Entry, order: str) -> tuple[int, ...]:
    """The values of a BYTE, SHORT or LONG tag; empty for any other type."""
    letter = _NUMBERS.get(entry.type)
    if letter is None or not isinstance(entry.value, bytes):
        return ()
    return struct.unpack(f"{order}{entry.number}{letter}", entry.value)


def from_numbers(tag: int, kind: int, values: tuple[int, ...], order: str) -> Entry:
    """The entry of a BYTE, SHORT or LONG tag."""
    return Entry(tag, kind, len(values), struct.pack(f"{order}{len(values)}{_NUMBERS[kind]}", *values))


def header(order: str, offset: int) -> bytes:
    """The eight bytes a file starts with, its first directory at `offset`."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offset)


def write(entries: list[Entry], order: str, base: int) -> bytes:
    """A directory that will stand at offset `base` and has none after it, then its values and subdirectories."""
    table = [struct.pack(order + "H", len(entries))]
    tail = bytearray()
    tail_base = base + 2 + 12 * len(entries) + 4
    for entry in sorted(entries, key=lambda e: e.tag):  # the TIFF specification demands ascending tags
        offset = tail_base + len(tail)
        value = write(entry.value, order, offset) if isinstance(entry.value, list) else entry.value
        field = struct.pack(order + "I", offset)
        if isinstance(entry.value, bytes) and len(value) <= 4:
            field = value.ljust(4, b"\0")
        else:
            tail += value + b"\0" * (len(value) & 1)  # offsets are even
        table.append(struct.pack(order + "HHI", entry.tag, entry.type, entry.number) + field)
    return b"".join(table) + b"\0\0\0\0" + bytes(tail)
