"""Names below a watched folder, each folder listed once: what groups are put together from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from daemon.groups.patterns import Pattern, Place
from daemon.intake.match import ignored

_Found: TypeAlias = Mapping[str, Sequence[str]]


class Listing:
    """One look at the folders below `root`, good for one batch of groups and then out of date.

    Names are sorted by what `{key}` stands for in them, so that ten thousand groups in one folder cost one list.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: dict[str, tuple[list[str], list[str]]] = {}
        self._by_key: dict[tuple[str, str, bool], _Found] = {}

    def files(self, pattern: Pattern, place: Place) -> list[str]:
        """The files of a group that match a pattern, below the root. Raises OSError for what cannot be listed."""
        *folders, name = pattern.parts
        places = [place.dir]
        for part in folders:
            places = [below for folder in places for below in self._matching(folder, part, place.key, folders=True)]
        return [file for folder in places for file in self._matching(folder, name, place.key, folders=False)]

    def _matching(self, folder: str, part: re.Pattern[str], key: str, *, folders: bool) -> list[str]:
        found = self._sorted(folder, part, folders).get(key if part.groups else "", ())
        return [f"{folder}/{name}" if folder else name for name in found]

    def _sorted(self, folder: str, part: re.Pattern[str], folders: bool) -> _Found:
        where = (folder, part.pattern, folders)
        if where not in self._by_key:
            by_key: dict[str, list[str]] = {}
            for name in self._list(folder)[folders]:
                if match := part.fullmatch(name):
                    by_key.setdefault(match.group(1) if part.groups else "", []).append(name)
            self._by_key[where] = by_key
        return self._by_key[where]

    def _list(self, folder: str) -> tuple[list[str], list[str]]:
        """The files and the folders in a folder; none where it is gone."""
        if folder not in self._names:
            files, folders = list[str](), list[str]()
            try:
                with os.scandir(f"{self._root}/{folder}" if folder else self._root) as entries:
                    for entry in entries:
                        if not ignored(entry.name):  # as in a scan: links to folders are not followed
                            (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
            except (FileNotFoundError, NotADirectoryError):
                pass
            self._names[folder] = files, folders
        return self._names[folder]
