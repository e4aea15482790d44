"""What SQLite complains of, as errors that say where, what, and the remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import BlockedError, DarkroomError, FatalError

_PRIMARY = 0xFF
"""The primary code of SQLite is in the low byte of an extended one (sqlite.org, "Result and Error Codes")."""

_BUSY = "another program holds it, close that"
_RIGHTS = "ask as the daemon's user, or let this one write it"
_REMEDIES = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_READONLY: f"{_RIGHTS} and its folder; or its disk is mounted for reading only",
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: f"{_RIGHTS} and its folder; or there is no room on its disk for another file",
    sqlite3.SQLITE_FULL: "free space on its disk",
}
_DISK = "see to its disk: whether it has space, can be written, and is sound"
"""The remedy for everything else, such as SQLITE_IOERR."""


class OlderLedgerError(DarkroomError):
    """The schema of a ledger is one that only a daemon, as it starts, may bring up to date."""

    kind = "older"


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
    return BlockedError(f"{path}: {error}; {_REMEDIES.get(code, _DISK)}")


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


def older(path: Path, version: int) -> OlderLedgerError:
    """The error for a ledger of an older schema, told to who only asks."""
    remedy = "start the daemon, or restart the one that runs: it brings the ledger up to date"
    return OlderLedgerError(f"{path}: of an older darkroom (schema {version}); {remedy}")
