"""The ledger, read for somebody who does not wait: a disk that hangs, or a program that holds it, holds up nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from daemon.asking.answers import read_ledger
from daemon.asking.promptly import WITHIN, Promptly
from daemon.errors import DarkroomError
from daemon.model import Config, State


@dataclass(frozen=True, slots=True)
class Reading:
    """Jobs by rule and state, groups that are not whole by rule, and bytes: of the files, and free on their disk."""

    counts: Mapping[str, Mapping[State, int]]
    incomplete: Mapping[str, int]
    main: int
    wal: int
    free: int


class LedgerReader:
    """Asked by the thread that answers."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._promptly = Promptly("ledger-metrics")

    def read(self) -> Reading | None:
        """What the ledger says now; None where it does not: the daemon tells why, since it has the same ledger."""
        config = self._config()
        try:
            return self._promptly.ask(lambda: _read(config), config.state_dir)
        except (DarkroomError, OSError):
            return None

    def close(self) -> None:
        """See to it that nothing is being read any more, unless it hangs."""
        self._promptly.close()


def _read(config: Config) -> Reading | None:
    if (ledger := read_ledger(config.state_dir, timeout=WITHIN)) is None:
        return None
    with closing(ledger):
        counts, incomplete = ledger.counts(), ledger.incomplete()
    file, disk = config.state_dir / "ledger.db", os.statvfs(config.state_dir)
    free = disk.f_bavail * disk.f_frsize
    return Reading(counts, incomplete, _size(file), _size(file.with_name("ledger.db-wal")), free)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
