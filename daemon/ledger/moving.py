"""Paths in the ledger, after the files were moved or copied to another place. One transaction, or nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from daemon.errors import DarkroomError
from daemon.groups.groups import version_of
from daemon.ledger.database import numbers, path_of, text
from daemon.model import Fingerprint, Member

SameFile: TypeAlias = Callable[[str, Fingerprint], Fingerprint | None]
"""The fingerprint that a file has now, if it is still what this fingerprint was of."""

_File: TypeAlias = tuple[Any, str, list[int]]  # its key in a table, its path, and its version

_PATHS = (("jobs", "root"), ("jobs", "output"), ("outputs", "path"), ("members", "path"))
_INTENTS = (("publications", "temporary"), ("publications", "target"))
_NEWEST = (
    "SELECT id, root, relative, size, mtime_ns, inode FROM jobs"
    " WHERE id IN (SELECT max(id) FROM jobs GROUP BY rule, root, relative) AND NOT gone"
    " AND NOT EXISTS (SELECT 1 FROM members WHERE job = id)"
)


@dataclass(slots=True)
class Relocated:
    """How many files, sources and outputs together, were found in the new place, and how many were not, or changed."""

    found: int = 0
    others: int = 0


class Relocation:
    """From the folder `old` to `new`, absolute paths; the same for files that were only copied back."""

    def __init__(self, db: sqlite3.Connection, old: str, new: str, same: SameFile) -> None:
        self._db = db
        self._old = old
        self._new = new
        self._same = same
        self._told = Relocated()

    def run(self) -> Relocated:
        """Do it. Raises DarkroomError where the ledger knows files of the new place already."""
        if self._old != self._new:
            self._refuse_mixture()
            self._db.create_function("relocated", 1, self._relocated, deterministic=True)
            for table, column in (*_PATHS, *_INTENTS):
                changed = f"relocated({column}) IS NOT {column}"
                self._db.execute(f"UPDATE OR REPLACE {table} SET {column} = relocated({column}) WHERE {changed}")
        sources = [(job, f"{path_of(root)}/{path_of(relative)}", v) for job, root, relative, *v in self._rows(_NEWEST)]
        self._refresh("jobs", "id", sources)
        self._refresh("outputs", "path", self._files("outputs", "path", "path"))
        self._refresh("members", "rowid", self._files("members", "rowid", "path"))
        for column in ("target", "temporary"):
            self._refresh("publications", "rowid", self._files("publications", "rowid", column), count=False)
        self._regroup()
        return self._told

    def _refuse_mixture(self) -> None:
        roots = {path_of(root) for (root,) in self._rows("SELECT DISTINCT root FROM jobs")}
        known = {root for root in roots if self._below(root, self._new)}
        come = {self._moved(root) for root in roots if self._below(root, self._old)}
        if come and self._below(self._old, self._new):  # upwards: others may always have been there
            known &= come
        if not self._below(self._new, self._old):
            known = {root for root in known if not self._below(root, self._old)}
        for root in sorted(known):  # downwards, it may have been told already
            remedy = "restore the ledger of before, and relocate first"
            raise DarkroomError(f"{root}: darkroom has worked there since; {remedy}")

    @staticmethod
    def _below(path: str, folder: str) -> bool:
        return path == folder or path.startswith(f"{folder.rstrip('/')}/")

    def _relocated(self, value: str | bytes | None) -> str | bytes | None:
        if value is None or not self._below(path := path_of(value), self._old):
            return value
        return text(self._moved(path))

    def _moved(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._new, os.path.relpath(path, self._old)))

    def _rows(self, sql: str) -> list[Any]:
        return self._db.execute(sql).fetchall()

    def _files(self, table: str, key: str, column: str) -> list[_File]:
        rows = self._rows(f"SELECT {key}, {column}, size, mtime_ns, inode FROM {table}")
        return [(identity, path_of(path), version) for identity, path, *version in rows]

    def _refresh(self, table: str, key: str, rows: Iterable[_File], *, count: bool = True) -> None:
        """Enter what files are now that are what they were."""
        for identity, path, before in rows:
            if not self._below(path, self._new):
                continue
            now = self._same(path, Fingerprint(*before))
            if now is not None:
                sql = f"UPDATE {table} SET size = ?, mtime_ns = ?, inode = ? WHERE {key} = ?"
                self._db.execute(sql, (*numbers(now), identity))
            if count:
                self._told.found += now is not None
                self._told.others += now is None

    def _regroup(self) -> None:
        """Groups go by one fingerprint of all their files. Those not whole are put together anew in any case."""
        files = dict[int, list[Member]]()
        columns = "job, role, path, size, mtime_ns, inode, fixed"
        sql = f"SELECT {columns} FROM members WHERE job IN (SELECT id FROM jobs WHERE lacks IS NULL)"
        for job, role, path, *version, fixed in self._rows(sql):
            files.setdefault(job, []).append(Member(role, path_of(path), Fingerprint(*version), bool(fixed)))
        for job, members in files.items():
            values = (*numbers(version_of(members)), job)
            self._db.execute("UPDATE jobs SET size = ?, mtime_ns = ?, inode = ? WHERE id = ?", values)
