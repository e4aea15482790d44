"""What a file is, by its bytes: a format of weights, or one of the things that lie around under their names.

Nothing is loaded here. What a broken-off download left is told by the lengths that formats write down.
"""

from __future__ import annotations

import enum
import json
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from kernels.features.refused import WeightsRefused


class Format(enum.StrEnum):
    """A format of weights."""

    ZIP = "a PyTorch file"
    LEGACY = "a PyTorch file of before 1.6"
    SAFETENSORS = "a safetensors file"
    MAT = "a MATLAB file"


AGAIN = "fetch it again"
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")
_LFS = b"version https://git-lfs"
_PYTORCH = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")  # the number with which PyTorch began its files
_MAT5, _MAT7, _HDF5 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file", b"\x89HDF"
_LARGEST_HEADER = 100 << 20  # bytes, as safetensors itself has it


def format_of(path: Path) -> Format:
    """The format of a file with weights. Raises WeightsRefused for anything else, and OSError."""
    with path.open("rb") as file:
        start = file.read(512)
        if _is_safetensors(start):  # first, for it begins with a length, whose bytes may be those of anything
            _check_length(path, _safetensors_length(path, file))
            return Format.SAFETENSORS
        _check_that_it_is_data(path, start)
        if start.startswith(b"PK"):
            return _zip(path)
        if start.startswith((_MAT7, _HDF5)):
            raise WeightsRefused(f"{path}: a MATLAB file of version 7.3, which is not read; `save -v7` writes another")
        if start.startswith(_MAT5):
            _check_length(path, _mat_length(file, path.stat().st_size))
            return Format.MAT
        if start.startswith(b"\x80"):
            return _pickle(path, start)
    raise WeightsRefused(
        f"{path}: of no format known here; those are PyTorch's (.pth), MatConvNet's (.mat) and safetensors"
    )


def _check_that_it_is_data(path: Path, start: bytes) -> None:
    """Refuse what came in place of the file."""
    if not start.strip(b"\0"):
        raise WeightsRefused(f"{path}: {'nothing but zeros at its start' if start else 'empty'}; {AGAIN}")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.lower().startswith(_PAGE):
        raise WeightsRefused(
            f"{path}: a web page, not weights: the download went wrong; look at its address in a browser"
        )
    if text.startswith(_LFS):
        raise WeightsRefused(f"{path}: a Git LFS pointer, not the file that it stands for; `git lfs pull` brings that")
    if _is_text(start):
        first = text.split(b"\n")[0][:40].decode(errors="replace").strip()
        raise WeightsRefused(f"{path}: a text that begins with {first!r}, not weights; {AGAIN}")


def _is_text(start: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in start)


def _truncated(path: Path, expected: str = "") -> WeightsRefused:
    size = path.stat().st_size
    return WeightsRefused(f"{path}: truncated: {size:,} bytes{expected and f', expected {expected}'}; {AGAIN}")


def _check_length(path: Path, expected: int) -> None:
    if path.stat().st_size < expected:
        raise _truncated(path, f"{expected:,} or more")


def _zip(path: Path) -> Format:
    """A zip archive's table stands at its end, so one that was broken off has none."""
    if not zipfile.is_zipfile(path):
        raise _truncated(path, "the end of a zip archive")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise WeightsRefused(f"{path}: a damaged zip archive ({error}); {AGAIN}") from error
    if not any(name.endswith("data.pkl") for name in names):
        raise WeightsRefused(f"{path}: a zip archive, but not of PyTorch; unpack it, and add the file in it")
    return Format.ZIP


def _pickle(path: Path, start: bytes) -> Format:
    if _PYTORCH not in start[:16]:
        raise WeightsRefused(f"{path}: a pickle, but not PyTorch's: it may run code, and is not loaded; {AGAIN}")
    return Format.LEGACY


def _mat_length(file: BinaryIO, size: int) -> int:
    """Where the last variable ends, by the lengths before each: a version 5 file is a row of them."""
    file.seek(126)
    order = ">" if file.read(2) == b"MI" else "<"
    end = 128 + 8  # a header, and one variable's beginning
    while end - 8 < size:
        file.seek(end - 8)
        beginning = file.read(8)
        if len(beginning) < 8:
            return end
        end += struct.unpack(f"{order}II", beginning)[1] + 8
    return end - 8


def _is_safetensors(start: bytes) -> bool:
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LARGEST_HEADER


def _safetensors_length(path: Path, file: BinaryIO) -> int:
    file.seek(0)
    header = safetensors_header(path, file)
    length = int.from_bytes(_whole(path, file, 0, 8), "little")
    try:
        ends = [told["data_offsets"][1] for name, told in header.items() if name != "__metadata__"]
        return int(8 + length + max(ends, default=0))
    except (KeyError, TypeError, IndexError) as error:
        raise WeightsRefused(f"{path}: its header is damaged; {AGAIN}") from error


def safetensors_header(path: Path, file: BinaryIO) -> dict[str, Any]:
    """The header of a safetensors file, without its library or any tensor."""
    length = int.from_bytes(_whole(path, file, 0, 8), "little")
    if length > _LARGEST_HEADER:
        raise WeightsRefused(f"{path}: not a safetensors file, or a damaged one; {AGAIN}")
    data = _whole(path, file, 8, length)
    try:
        header = json.loads(data)
    except ValueError as error:
        raise WeightsRefused(f"{path}: its header is damaged ({error}); {AGAIN}") from error
    if not isinstance(header, dict):
        raise WeightsRefused(f"{path}: its header is damaged; {AGAIN}")
    return header


def _whole(path: Path, file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    data = file.read(length)
    if len(data) < length:
        raise _truncated(path, f"{start + length:,} or more")
    return data
