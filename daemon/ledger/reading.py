"""The ledger read by somebody who must leave no trace: nothing is made, migrated, or written, not even its log's index.

SQLite's `mode=ro` alone makes a log and its index beside a ledger in WAL mode that has none, and writes the index where
there is one. So a ledger without a log, which nobody has open, is read as `immutable`, and one with a log, beside a
daemon or after one that was killed, with `readonly_shm` (tests/daemon/test_dry_run.py compares every file).

Who only asks reads so, always: it needs no right to write, and a package that was just upgraded does not change the
schema below a daemon of the old one, which would have to end.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon.errors import BlockedError, remedy_of
from daemon.ledger import KnownRule, Ledger
from daemon.ledger.adopting import Homeless
from daemon.ledger.database import Database, address
from daemon.ledger.migrations import MIGRATIONS, migrate
from daemon.ledger.questions import Questions
from daemon.ledger.trouble import newer, older, reported

TRIES = 3
"""A daemon may start or end in the moment between a look for its log and the opening."""


class ReadLedger(Ledger):
    """A ledger that answers and cannot be written to. Without a file it is empty. `timeout`: seconds for its lock.

    `copies`: that of an older darkroom is read from a copy in memory, brought up to date there. Of a million jobs that
    takes seconds, so that only who looks at every file anyway may ask for it.

    Raises BlockedError where it cannot be read, DarkroomError where it is no ledger, or that of a newer darkroom, and
    OlderLedgerError.
    """

    def __init__(self, path: Path, *, timeout: float = 10.0, copies: bool = False) -> None:
        self._read_only = _ReadOnly(path, timeout, copies)
        Questions.__init__(self, self._read_only)
        self._clock = time.time
        self._write = self._database.write

    def adopt(self, rules: Mapping[str, KnownRule], homeless: Homeless) -> dict[str, str]:
        """As in every ledger, but in a copy in memory, which is what is read from then on."""
        self._read_only.go_on_in_a_copy()
        return super().adopt(rules, homeless)


def is_there(path: Path) -> bool:
    """Whether there is a ledger. Raises BlockedError where this user may not even see that."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BlockedError(f"{path}: {error.strerror}; ask as the daemon's user") from error
    return True


class _ReadOnly(Database):
    """One connection, which cannot write, or is to a copy."""

    _has_log = True

    def __init__(self, path: Path, timeout: float, copies: bool) -> None:
        self._copies = copies
        super().__init__(path, timeout, lambda error: False)

    def _first(self) -> sqlite3.Connection:
        if not is_there(self.path):
            return _migrated(_in_memory())
        for left in reversed(range(TRIES)):
            try:
                return self._opened()
            except BlockedError:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _opened(self) -> sqlite3.Connection:
        self._has_log = self._log_is_there()
        if self._has_log and not os.path.exists(f"{self.path}-shm"):
            return self._copied()
        return self._connected(address(self.path, "mode=ro&readonly_shm=1" if self._has_log else "immutable=1"))

    def _connected(self, where: str) -> sqlite3.Connection:
        with reported(self.path):
            connection = sqlite3.connect(
                where, uri=True, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            try:
                return self._understood(connection)
            except BaseException:
                connection.close()
                raise

    def _copied(self) -> sqlite3.Connection:
        """Read a copy: of a log without its index, as a backup has it, SQLite reads nothing unless it may make that."""
        import shutil  # seldom needed, and slow to load
        import tempfile

        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            try:
                for suffix in ("", "-wal"):
                    shutil.copyfile(f"{self.path}{suffix}", f"{folder}/ledger.db{suffix}")
            except OSError as error:
                what = f"{self.path}: cannot be copied, to be read without a trace ({error.strerror})"
                raise BlockedError(f"{what}; {remedy_of(error, 'ask as the owner of the daemon')}") from error
            with closing(self._connected(address(Path(folder, "ledger.db"), "mode=rw"))) as opened, reported(self.path):
                copy = _in_memory()
                opened.backup(copy)
                return copy

    def _log_is_there(self) -> bool:
        return os.path.exists(f"{self.path}-wal")

    def _understood(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """The connection; to a copy in memory, if wanted, of a ledger that an older darkroom left."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise newer(self.path, version)
        if version == len(MIGRATIONS):
            return connection
        if not self._copies and version:  # 0: a daemon that starts for the first time is about to make it
            raise older(self.path, version)
        copy = _in_memory()
        connection.backup(copy)
        connection.close()
        return _migrated(copy)

    def go_on_in_a_copy(self) -> None:
        """Read, and write, a copy in memory from now on."""
        copy = _in_memory()
        with reported(self.path):
            self.connection.backup(copy)
        self._open.append(copy)
        self.connection, self._has_log = copy, True

    def _look_to_the_file(self) -> None:
        """Only the copy in memory is ever written."""

    def _look(self, sql: str, values: Sequence[Any]) -> list[Any]:
        if self._log_is_there() and not self._has_log:  # a daemon was started meanwhile
            self._open.append(self._first())
            self.connection = self._open[-1]
        with self._lock, reported(self.path):
            return list(self.connection.execute(sql, values).fetchall())


def _in_memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _migrated(connection: sqlite3.Connection) -> sqlite3.Connection:
    migrate(connection)
    return connection
