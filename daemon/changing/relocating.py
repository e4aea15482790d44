"""`darkroom relocate`: files were moved, or copied, to another place; the ledger is told where they are now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger, Relocated
from daemon.ledger.reading import is_there
from daemon.life.lock import DaemonLock
from daemon.model import Config, Fingerprint

GRAINS = (1_000, 1_000_000, 10_000_000, 1_000_000_000)
"""Nanoseconds that a copy's time may be cut down to: by tar and rsync of old, by zip, by other file systems."""


def relocate(config: Config, old: Path, new: Path) -> str:
    """Do it while no daemon runs; what to tell the user. The same path twice: the files are copies, with other inodes.

    Raises DarkroomError.
    """
    before, after = (os.path.abspath(path) for path in (old, new))
    _refuse_unused(config, after)
    path = config.state_dir / "ledger.db"
    if not is_there(path):
        raise DarkroomError(f"{config.state_dir}: no ledger is here; put that of the old place there first")
    lock = DaemonLock(config.state_dir)
    try:
        with closing(Ledger(path)) as ledger:
            return _told(ledger.relocate(before, after, same_file), after)
    finally:
        lock.release()


def _refuse_unused(config: Config, new: str) -> None:
    if not os.path.isdir(new):
        raise DarkroomError(f"{new}: no such folder; move the files there first")
    if not any(Path(each).is_relative_to(new) or Path(new).is_relative_to(each) for each in _folders(config)):
        raise DarkroomError(f"{new}: {config.path} names no folder there; write the new places into it first")


def _folders(config: Config) -> Iterator[Path | str]:
    for rule in config.rules:
        yield from rule.watch
        yield from rule.folders
        yield from (each.fixed for each in rule.inputs if each.fixed is not None)
        if rule.source.to is not None:
            yield rule.source.to.folder


def _told(found: Relocated, new: str) -> str:
    told = f"{new}: {found.found:,} files are as the ledger knows them"
    return told + (f"; {found.others:,} are not there or were changed, and count as new" if found.others else "")


def same_file(path: str, before: Fingerprint) -> Fingerprint | None:
    """What a file is now, if it is a copy of what it was: as long, and from the same time, cut down or rounded."""
    try:
        now = fingerprint_of(os.stat(path))
    except OSError:
        return None
    cut = any(now.mtime_ns == before.mtime_ns - before.mtime_ns % grain for grain in GRAINS)
    same = cut or abs(now.mtime_ns - before.mtime_ns) < GRAINS[0]
    return now if same and now.size == before.size else None
