"""The machine itself: inotify's budget, the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from daemon.asking.answers import read_ledger
from daemon.counted import counted
from daemon.doctor.values import Finding, fault, note, ok, parted
from daemon.errors import DarkroomError
from daemon.intake.hints import flood_threshold
from daemon.ledger.trouble import OlderLedgerError, damaged
from daemon.life.lock import alive
from daemon.model import Config

INOTIFY = Path("/proc/sys/fs/inotify")
COUNT_WITHIN = 5.0
"""Seconds spent on counting folders; a tree that takes longer is told as "at least"."""


def examine(config: Config | None) -> Iterator[Finding]:
    """What darkroom needs of the system and left on it."""
    yield from _inotify(config)
    if config is not None:
        yield _ledger(config)


def _inotify(config: Config | None) -> Iterator[Finding]:
    """A watch a folder and an instance a watched tree; the numbers are per user, and others of his count too."""
    trees = [(str(folder), rule.recursive) for rule in config.rules for folder in rule.watch] if config else []
    folders, complete = _count_folders(trees)
    needed = {"max_user_watches": folders, "max_user_instances": len(trees)}
    for name, need in needed.items():
        try:
            limit = int((INOTIFY / name).read_text())
        except (OSError, ValueError):
            yield note("inotify", name, "cannot be read; folders that events cannot be had for are scanned instead")
            continue
        told = f"{need:,}{'' if complete else ' or more'} of {limit:,} needed" if config else f"{limit:,}"
        if need < limit:
            yield ok("inotify", name, told)
        else:
            keep = f"echo fs.inotify.{name}={2 * need} | sudo tee -a /etc/sysctl.d/60-darkroom.conf"
            yield fault("inotify", name, told, f"`{keep} && sudo sysctl --system`")
    yield ok(
        "inotify", "max_queued_events", f"{4 * flood_threshold():,}; a flood beyond a quarter of it leads to a scan"
    )


def _count_folders(trees: list[tuple[str, bool]]) -> tuple[int, bool]:
    """How many folders are watched, and whether all were counted in time."""
    count, end = 0, time.monotonic() + COUNT_WITHIN
    for root, recursive in trees:
        count += 1
        for _, below, _ in os.walk(root) if recursive else ():
            count += len(below)
            if time.monotonic() > end:
                return count, False
    return count, True


def _ledger(config: Config) -> Finding:
    path = config.state_dir / "ledger.db"
    try:
        if (ledger := read_ledger(config.state_dir)) is None:
            return note("ledger", str(path), "not there yet; nothing was ever processed")
        with closing(ledger):
            jobs = sum(sum(counts.values()) for counts in ledger.counts().values())
            if damage := ledger.damage():
                raise damaged(path, damage)
    except OlderLedgerError:
        return note("ledger", str(path), "of an older darkroom; the daemon brings it up to date as it is started anew")
    except DarkroomError as error:
        return parted("ledger", str(path), str(error).removeprefix(f"{path}: "))
    working = "a daemon works here" if alive(config.state_dir) else "no daemon runs"
    return ok("ledger", str(path), f"{counted(jobs, 'job')}; {working}")
