"""The ledger's SQLite file: connections, transactions, and values as SQLite holds them.

Durability. The file is in WAL mode. A transaction asked for as `durable` is committed with an fsync; any other may be
lost with the power, though never torn (SQLite, "PRAGMA synchronous").
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from daemon.errors import BlockedError
from daemon.ledger.migrations import MIGRATIONS, migrate
from daemon.ledger.trouble import gone, newer, replaced, reported
from daemon.model import Fingerprint

Value = TypeVar("Value")
Result = TypeVar("Result")
_CACHE = 16 << 10
"""KiB that the writer keeps of the file while it writes: an edit of a rule may move 100,000 of its jobs, and with
SQLite's 2 MiB their index goes to the log and back again and again."""
_CHUNK = 500  # below SQLITE_MAX_VARIABLE_NUMBER of every build


class Database:
    """One connection that writes, under a lock, and one a thread that reads.

    Every method raises BlockedError when the disk does not let it, unless `patience`, called with that error, waits
    and returns True: then it is tried again. DarkroomError means the file is no ledger, or a newer one.
    """

    def __init__(self, path: Path, timeout: float, patience: Callable[[BlockedError], bool]) -> None:
        self.path = path
        self._timeout = timeout
        self._patience = patience
        self._lock = threading.RLock()
        self._readers = threading.local()
        self._file: os.stat_result | None = None
        self._waiting: dict[int, str] = {}
        self.connection = self._patiently(self._first)
        self._open = [self.connection]

    def _first(self) -> sqlite3.Connection:
        connection = _connect(self.path, self._timeout, make=True)
        try:
            with reported(self.path):
                migrate(connection)
                connection.execute(f"PRAGMA cache_size = -{_CACHE}")
            self._file = self._there()
        except BaseException:
            connection.close()
            raise
        return connection

    def _there(self) -> os.stat_result:
        """The file that is in its place now."""
        try:
            return os.stat(self.path)
        except OSError as error:
            raise gone(self.path) from error

    def _look_to_the_file(self) -> None:
        """A file that was removed, or replaced, can be written on, and nobody will find it."""
        if self._file is None or not os.path.samestat(self._file, self._there()):
            raise replaced(self.path)

    def _patiently(self, act: Callable[[], Result]) -> Result:
        """Do it; while the disk does not let us, `patience` decides whether to try again."""
        thread = threading.get_ident()
        try:
            while True:
                try:
                    return act()
                except BlockedError as error:
                    self._waiting[thread] = str(error)
                    if not self._patience(error):
                        raise
        finally:
            self._waiting.pop(thread, None)

    def trouble(self) -> str | None:
        """What the disk does not let us do now, for as long as somebody waits for it."""
        return next(iter(self._waiting.copy().values()), None)

    def close(self) -> None:
        """Close every connection; the last one folds the WAL into the file."""
        with self._lock:
            for connection in self._open:
                connection.close()

    def read(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Each thread reads through a connection of its own, so that none waits while another syncs the disk."""
        return self._patiently(lambda: self._look(sql, values))

    def _look(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with reported(self.path):
            if (reader := getattr(self._readers, "connection", None)) is None:
                reader = self._readers.connection = _connect(self.path, self._timeout, make=False)
                with self._lock:
                    self._open.append(reader)
            return list(reader.execute(sql, values).fetchall())

    def write(self, body: Callable[[sqlite3.Connection], object], *, durable: bool = False) -> None:
        """One transaction: all of `body`, or nothing."""
        self._patiently(lambda: self._transact(body, durable))

    def _transact(self, body: Callable[[sqlite3.Connection], object], durable: bool) -> None:
        with self._lock, reported(self.path):
            self._look_to_the_file()
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                body(self.connection)
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise


def address(path: Path, how: str) -> str:
    """What SQLite calls a file that it is to open so; of a path the bytes."""
    return f"file://{quote(os.fsencode(path.absolute()))}?{how}"


def _connect(path: Path, timeout: float, *, make: bool) -> sqlite3.Connection:
    if not make and not os.path.exists(path):  # only the first of a ledger's connections may make it
        raise gone(path)
    where = address(path, "mode=rwc" if make else "mode=rw")
    with reported(path):
        connection = sqlite3.connect(where, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(connection, timeout)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except BaseException:
            connection.close()
            raise
    if version > len(MIGRATIONS):
        connection.close()
        raise newer(path, version)
    return connection


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Two processes may open a new ledger at once, and for this change of mode SQLite does not wait by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def numbers(fingerprint: Fingerprint) -> tuple[int, int, int]:
    return fingerprint.size, fingerprint.mtime_ns, fingerprint.inode


def text(path: str) -> str | bytes:
    """A path as SQLite holds it: text, or the raw bytes of a name that is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def path_of(value: str | bytes) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else value


def chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
