"""What a live daemon says of itself: one small JSON file under `state_dir`, rewritten every second.

Whether a daemon is alive is told by the lock it holds, never by the file: a file outlives a kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.errors import DarkroomError, writing_failed

LOCK = "daemon.lock"
SNAPSHOT = "status.json"


class DaemonLock:
    """The right to work on a `state_dir`, held until the process ends. Raises DarkroomError if another has it."""

    def __init__(self, state_dir: Path) -> None:
        try:
            self._file = (state_dir / LOCK).open("a+", encoding="ascii")
        except OSError as error:
            raise writing_failed(str(state_dir / LOCK), error) from error
        if not self._take():
            holder = _holder(state_dir)
            self._file.close()
            raise DarkroomError(
                f"{state_dir}: another darkroom ({holder}) works here; stop it, or give this one its own state_dir"
            )
        with contextlib.suppress(OSError):  # the number is for people; on a full disk the lock alone has to do
            self._file.truncate(0)
            self._file.write(str(os.getpid()))
            self._file.flush()

    def _take(self) -> bool:
        """Try for a moment: `alive`, asked by `darkroom status`, holds the lock too, for microseconds."""
        for _ in range(10):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                return True
        return False

    def release(self) -> None:
        """Give the right back."""
        self._file.close()


def alive(state_dir: Path) -> bool:
    """Whether a daemon works on this `state_dir`."""
    try:
        with (state_dir / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write(state_dir: Path, snapshot: Mapping[str, Any]) -> None:
    """Replace the snapshot, atomically. It is not worth an fsync."""
    temporary = state_dir / f"{SNAPSHOT}.new"
    temporary.write_text(json.dumps(snapshot), encoding="utf-8")
    temporary.replace(state_dir / SNAPSHOT)


def read(state_dir: Path) -> dict[str, Any]:
    """The last snapshot; empty when there is none."""
    try:
        found: dict[str, Any] = json.loads((state_dir / SNAPSHOT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _holder(state_dir: Path) -> str:
    try:
        return f"process {(state_dir / LOCK).read_text(encoding='ascii') or 'unknown'}"
    except OSError:
        return "process unknown"
