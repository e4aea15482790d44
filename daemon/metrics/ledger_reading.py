"""The ledger, read for somebody who does not wait: a disk that hangs, or a program that holds it, holds up nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from daemon.answers import open_ledger
from daemon.errors import DarkroomError
from daemon.model import Config, State
from daemon.status_document import IMPATIENT
from daemon.threads import Threads


@dataclass(frozen=True, slots=True)
class Reading:
    """Jobs by rule and state, groups that are not whole by rule, and bytes: of the files, and free on their disk."""

    counts: Mapping[str, Mapping[State, int]]
    incomplete: Mapping[str, int]
    main: int
    wal: int
    free: int


class LedgerReader:
    """Reads in a thread of its own: SQLite tries for ten seconds, whatever the time-out, where it can get no lock to
    read, and a disk may take for ever. Asked by one thread."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._threads = Threads()
        self._found: Reading | None = None

    def read(self) -> Reading | None:
        """What the ledger says now; None where it does not within IMPATIENT seconds."""
        if self._threads.join(0):  # else the last one is still at it, and a second would fare no better
            self._found = None
            self._threads.start("ledger-metrics", self._read)
        return self._found if self._threads.join(IMPATIENT) else None

    def close(self) -> None:
        """See to it that nothing is being read any more, unless it hangs."""
        self._threads.join(IMPATIENT)

    def _read(self) -> None:
        try:
            self._found = _read(self._config())
        except (DarkroomError, OSError):  # the daemon tells why: it has the same ledger
            self._found = None


def _read(config: Config) -> Reading | None:
    if (ledger := open_ledger(config.state_dir, timeout=IMPATIENT)) is None:
        return None
    with closing(ledger):
        counts, incomplete = ledger.counts(), ledger.incomplete()
    file, disk = config.state_dir / "ledger.db", os.statvfs(config.state_dir)
    free = disk.f_bavail * disk.f_frsize
    return Reading(counts, incomplete, _size(file), _size(file.with_name("ledger.db-wal")), free)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
