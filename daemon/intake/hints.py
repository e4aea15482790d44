"""What events said since the last look: which files to look at, and which folders to scan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path


def flood_threshold() -> int:
    """Hints between two looks beyond which the kernel's queue may have run over: a quarter of its length."""
    try:
        return max(16, int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 4)
    except (OSError, ValueError):
        return 4096


class Hints:
    """What events said since the last look: a coalescing set, so a flood costs memory only for distinct files."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._files: dict[tuple[str, str], bool] = {}
        self._dirty: set[str] = set()
        self._grown: set[str] = set()
        self._flood = flood_threshold()
        self.lost = 0
        """Events that were too many to be followed one by one; their folders were scanned instead."""

    def __bool__(self) -> bool:
        return bool(self._files or self._dirty)

    def file(self, root: str, relative: str, *, closed: bool) -> None:
        """Something happened to a file; `closed`: its writer closed it or it was moved into place."""
        with self._lock:
            if len(self._files) >= self._flood:
                self._dirty.add(root)
                self.lost += 1
            else:
                self._files[root, relative] = self._files.get((root, relative), False) or closed
        self._wake()

    def folder(self, root: str, *, grown: bool = False) -> None:
        """The whole folder needs a scan; `grown`: it has new subfolders, which may not be watched yet."""
        with self._lock:
            self._dirty.add(root)
            if grown:
                self._grown.add(root)
        self._wake()

    def drain(self) -> tuple[dict[tuple[str, str], bool], set[str]]:
        """Take the hints: files (and whether they were closed), folders to scan."""
        with self._lock:
            files, self._files = self._files, {}
            dirty, self._dirty = self._dirty, set()
        return files, dirty

    def drain_grown(self) -> set[str]:
        """Take the folders that have new subfolders."""
        with self._lock:
            grown, self._grown = self._grown, set()
        return grown
