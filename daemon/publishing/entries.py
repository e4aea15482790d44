"""Entries of folders: whether two paths lead to one, whatever links lead there."""

from __future__ import annotations

import os


def entry_of(path: str | os.PathLike[str]) -> str:
    """The one name of an entry, among all that lead to it: its folder without links."""
    folder, name = os.path.split(os.fspath(path))
    return os.path.join(os.path.realpath(folder), name)


def same_file(one: str, other: str) -> bool:
    """Whether both are there, and one file; a link to it is another."""
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def same_entry(one: str, other: str) -> bool:
    """Whether both are one entry, and not two of one file, of which either could go. False where one is not there."""
    # Some file systems find a name also under another spelling: a file with one name cannot have two entries.
    return same_file(one, other) and (os.lstat(one).st_nlink < 2 or entry_of(one) == entry_of(other))
