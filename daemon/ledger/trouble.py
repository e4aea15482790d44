"""What SQLite complains of, as errors that say where, what, and the remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import BlockedError, DarkroomError, FatalError

_PRIMARY = 0xFF
"""The primary code of SQLite is in the low byte of an extended one (sqlite.org, "Result and Error Codes")."""


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raises BlockedError for what the surroundings do to the ledger, FatalError for one that is damaged."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise _told(path, error) from error


def _told(path: Path, error: sqlite3.DatabaseError) -> DarkroomError:
    # Python's own complaints, of text that is no UTF-8, have no code. SQLITE_ERROR is a table that is missing.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & _PRIMARY
    if not isinstance(error, sqlite3.OperationalError) or code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT):
        return damaged(path, str(error))
    busy = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
    remedy = "another program holds it, close that" if busy else "free space on its disk, or make it writable"
    return BlockedError(f"{path}: {error}; {remedy}")


def damaged(path: Path, how: str) -> FatalError:
    """The error for a ledger that cannot be trusted. Its log goes with it: SQLite would write it into a new one."""
    remedy = f"restore a back-up of it, or move {path.name}* aside to begin a new one (docs/operations.md)"
    return FatalError(f"{path}: damaged ({' '.join(how.split())}); {remedy}")


def gone(path: Path) -> BlockedError:
    """The error for a ledger that was there and is not."""
    return BlockedError(f"{path}: gone; bring {path.parent} back as it was, or start darkroom again")


def replaced(path: Path) -> FatalError:
    """The error for a ledger in whose place another file stands: what is written on would be found by nobody."""
    return FatalError(f"{path}: another file was put in its place while darkroom ran; start darkroom again")


def newer(path: Path, version: int) -> DarkroomError:
    """The error for a ledger whose schema this darkroom does not know."""
    return DarkroomError(f"{path}: written by a newer darkroom (schema {version}); install that version or newer")
