"""Whether a daemon works on a `state_dir`: told by the lock that it holds, since a file would outlive a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from daemon.errors import DarkroomError, writing_failed

LOCK = "daemon.lock"


class DaemonLock:
    """The right to work on a `state_dir`, held until the process ends. Raises DarkroomError if another has it."""

    def __init__(self, state_dir: Path) -> None:
        try:
            self._file = os.fdopen(_opened(state_dir / LOCK), "a+", encoding="ascii")
        except OSError as error:
            raise writing_failed(str(state_dir / LOCK), error) from error
        if not self._take():
            other = holder(state_dir) or "unknown"
            self._file.close()
            raise DarkroomError(
                f"{state_dir}: another darkroom (process {other}) works here; "
                "stop it, or give this one its own state_dir"
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


def _opened(path: Path) -> int:
    """A lock that root makes is that of the owner of the folder, who has to take it next; no link leads root astray."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    folder = path.parent.stat()
    if os.geteuid() == 0 != folder.st_uid and os.fstat(lock).st_uid == 0:
        with contextlib.suppress(OSError):  # a file system without owners
            os.fchown(lock, folder.st_uid, folder.st_gid)
    return lock


def alive(state_dir: Path) -> bool:
    """Whether a daemon works on this `state_dir`."""
    try:
        with (state_dir / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def holder(state_dir: Path) -> int | None:
    """The process that has the lock, as far as it is known; it may have gone meanwhile."""
    try:
        return int((state_dir / LOCK).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
