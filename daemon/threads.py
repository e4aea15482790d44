"""Threads with an owner who joins them, and none of which ends early in silence (law 6)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("darkroom")


class Threads:
    """Started by name. `fatal` holds what ended one that must not end: whoever looks after them stops then."""

    def __init__(self) -> None:
        self.fatal: list[BaseException] = []
        self._started: dict[str, threading.Thread] = {}

    def start(self, name: str, body: Callable[[], None]) -> None:
        """Run `body` in a thread of its own."""
        thread = threading.Thread(target=self._guard, args=(body,), name=name, daemon=True)
        self._started[name] = thread
        thread.start()

    def _guard(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            log.error("thread %s ended", threading.current_thread().name, exc_info=error)
            self.fatal.append(error)

    def join(self, timeout: float, name: str | None = None) -> bool:
        """Wait for all of them, or for one, for so many seconds together; whether they have ended."""
        deadline = time.monotonic() + timeout
        wanted = [thread for each, thread in self._started.items() if name in (None, each)]
        for thread in wanted:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in wanted)
