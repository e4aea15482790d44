"""Folder by folder: is it there, what lies below it, do events come, do writing, syncing and renaming work, is it full?

What is tried is tried really, under temporary names that a running daemon never takes; nothing is left behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from daemon.doctor.values import Finding, State, fault, note, ok, parted
from daemon.errors import final, reading_failed, writing_failed
from daemon.intake.hints import Hints
from daemon.intake.match import TEMPORARY_PREFIX
from daemon.intake.scan import events_arrive, file_system_of
from daemon.intake.watch import Watcher
from daemon.model import Config

AREA = "folders"
KEEP = "sudo tee -a /etc/sysctl.d/60-darkroom.conf && sudo sysctl --system"
EVENT_WITHIN = 2.0  # seconds
STALE = 60.0  # seconds
LITTLE_SPACE, NO_SPACE = 1 << 30, 32 << 20  # bytes


def examine(config: Config) -> Iterator[Finding]:
    """What the daemon reads from, writes to, and its own folder."""
    watched = dict.fromkeys(str(folder) for rule in config.rules for folder in rule.watch)
    written = dict.fromkeys(folder for rule in config.rules for folder in sorted(rule.folders))
    moved = {str(rule.source.to.folder) for rule in config.rules if rule.source.to is not None}
    for folder in watched:
        yield _watched(folder)
    for folder in [*written, *sorted(moved - written.keys())]:
        yield _written(folder)
    yield _state_dir(str(config.state_dir))


def _clear_leftovers(folder: str) -> None:
    """What a doctor that was killed had tried there; one at work beside this one is left alone."""
    for stale in Path(folder).glob(f"{TEMPORARY_PREFIX}doctor-*"):
        with contextlib.suppress(OSError):
            if time.time() - stale.lstat().st_mtime > STALE:
                stale.rmdir() if stale.is_dir() else stale.unlink()


def _watched(folder: str) -> Finding:
    if (missing := _missing(folder, "watched")) is not None:
        return missing
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        return parted(AREA, folder, str(reading_failed(error)))
    kind = f"watched, {_kind(folder)}"
    if not events_arrive(folder):
        return note(AREA, folder, f"{kind}, a network share: scanned every two seconds, others write there unseen")
    if not os.access(folder, os.W_OK):
        return note(AREA, folder, f"{kind}, read-only: whether events come was not tried")
    trouble = _without_events(folder)
    if trouble:
        detail, _, remedy = trouble.partition(". ")
        if "sysctl " in remedy:
            remedy = f"`printf '%s\\n' {remedy.partition('sysctl ')[2]} | {KEEP}`"
        return fault(AREA, folder, f"{kind}, {detail}", remedy or "`rescan: 10s` in config.yaml makes up for it")
    return ok(AREA, folder, f"{kind}, events come")


def _without_events(folder: str) -> str:
    """Make a folder in it and wait for the event; what is wrong, or nothing."""
    _clear_leftovers(folder)
    told, heard = list[str](), threading.Event()
    hints = Hints(heard.set)
    watcher = Watcher([(folder, False)], hints, told.append)
    watcher.arm()
    try:
        if watcher.unwatched():
            return (told or ["events cannot be had"])[0].removeprefix(f"{folder}: ")
        hints.drain()
        heard.clear()
        trial = Path(folder, _temporary())
        trial.mkdir()
        arrived = heard.wait(EVENT_WITHIN)
        trial.rmdir()
        return "" if arrived else f"no event came within {EVENT_WITHIN:.0f} s"
    except OSError as error:
        return f"whether events come cannot be tried ({error.strerror})"
    finally:
        watcher.close()


def _written(folder: str) -> Finding:
    if (missing := _missing(folder, "written to")) is not None:
        return missing
    if (refused := _cannot_write(folder, "written to")) is not None:
        return refused
    return _space(folder, f"written to, {_kind(folder)}, files can be written, synced and renamed")


def _state_dir(folder: str) -> Finding:
    """The ledger is SQLite, whose locks are not to be trusted on network shares (sqlite.org, "How To Corrupt")."""
    if (missing := _missing(folder, "state_dir")) is not None:
        return missing
    if (refused := _cannot_write(folder, "state_dir")) is not None:
        return refused
    if not events_arrive(folder):
        return fault(
            AREA, folder, f"state_dir, {_kind(folder)}, a network share: the ledger would not be safe there",
            "write a `state_dir` on a disk of this machine",
        )  # fmt: skip
    return _space(folder, f"state_dir, {_kind(folder)}, files can be written, synced and renamed")


def _missing(folder: str, use: str) -> Finding | None:
    """A folder that is not there is made when it is needed, if it can be."""
    path = Path(folder)
    if path.is_dir():
        return None
    above = next((parent for parent in [path, *path.parents] if os.path.lexists(parent)), Path("/"))
    if not above.is_dir():
        return fault(
            AREA, folder, f"{use}, but {above} is no folder", f"`mv {quote(str(above))} {quote(f'{above}.old')}`"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        read_only = os.statvfs(above).f_flag & os.ST_RDONLY
        remedy = _command(str(above), errno.EROFS) if read_only else f"`sudo install -d -o $USER {quote(folder)}`"
        return fault(AREA, folder, f"{use}, not there, and {above} cannot be written", remedy)
    return note(AREA, folder, f"{use}, not there yet; darkroom makes it")


def _cannot_write(folder: str, use: str) -> Finding | None:
    """Write a file, sync it, rename it, sync the folder: all that publishing a picture does."""
    _clear_leftovers(folder)
    trial, renamed = Path(folder, _temporary()), Path(folder, f"{_temporary()}.renamed")
    try:
        with trial.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        trial.rename(renamed)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        text = final(writing_failed(folder, error)).removeprefix(f"{folder}: ")
        found = parted(AREA, folder, text)
        remedy = _command(folder, error.errno) or found.remedy
        return Finding(AREA, folder, State.FAULT, f"{use}, {_kind(folder)}, {found.detail}", remedy)
    finally:
        for path in (trial, renamed):
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _command(folder: str, number: int | None) -> str:
    """What mends an error of a disk; "" where no one command does."""
    if number == errno.EROFS:
        mount = next(path for path in [Path(folder), *Path(folder).parents] if path.is_mount())
        return f"mount it writable: `sudo mount -o remount,rw {quote(str(mount))}`"
    return f"free space there: {_largest(folder)}" if number in (errno.ENOSPC, errno.EDQUOT) else ""


def _largest(folder: str) -> str:
    return f"`du -xh {quote(folder)} | sort -h | tail`"


def _space(folder: str, detail: str) -> Finding:
    free = shutil.disk_usage(folder).free
    told = f"{detail}; {free / 2**30:.1f} GiB free" if free >= 1 << 28 else f"{detail}; {free / 2**20:.0f} MiB free"
    if free < NO_SPACE:
        return fault(AREA, folder, told, f"free space there: {_largest(folder)}")
    return ok(AREA, folder, told) if free >= LITTLE_SPACE else note(AREA, folder, told, "little is left")


def _kind(folder: str) -> str:
    return file_system_of(folder) or "unknown file system"


def _temporary() -> str:
    return f"{TEMPORARY_PREFIX}doctor-{os.getpid()}"
