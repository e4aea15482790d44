"""A bound on memory in bytes, shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ByteBudget:
    """Bytes that may be in flight at once. One charge larger than the whole budget is let through when it is alone."""

    def __init__(self, limit: int, *, freed: Callable[[], None] = lambda: None) -> None:
        self.limit = limit
        self.used = 0
        self._freed = freed
        self._lock = threading.Lock()

    def try_charge(self, size: int) -> bool:
        """Take `size` bytes if they are free; never waits, so the caller can do other work meanwhile."""
        with self._lock:
            if self.used and self.used + size > self.limit:
                return False
            self.used += size
            return True

    def release(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self.used -= size
        self._freed()
