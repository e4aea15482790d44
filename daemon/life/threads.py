"""Threads with an owner who joins them, and none of which ends early or hangs in silence (law 6)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from daemon.errors import FatalError

log = logging.getLogger("darkroom")

_own = threading.local()


def beat() -> None:
    """The calling thread is about its work: its loop goes round, or one round of it gets on.

    Means something in a thread that was started with a bound (`Threads.start`), and nothing in any other.
    """
    if (note := getattr(_own, "note", None)) is not None:
        note()


def on_beat(note: Callable[[], None] | None) -> None:
    """Call `note` whenever the calling thread beats; None: nothing."""
    _own.note = note


class Threads:
    """Started by name. `fatal` holds what ended one that must not end: whoever looks after them stops then."""

    def __init__(self) -> None:
        self.fatal: list[BaseException] = []
        self._started: dict[str, threading.Thread] = {}
        self._due: dict[str, float] = {}

    def start(self, name: str, body: Callable[[], None], *, within: float | None = None) -> None:
        """Run `body` in a thread of its own. One that does not `beat` within so many seconds is `late`; None: never."""
        thread = threading.Thread(target=self._guard, args=(body, name, within), name=name, daemon=True)
        self._started[name] = thread
        thread.start()

    def _guard(self, body: Callable[[], None], name: str, within: float | None) -> None:
        if within is not None:
            on_beat(lambda: self._due.update({name: time.monotonic() + within}))
            beat()
        try:
            body()
        except BaseException as error:
            if not isinstance(error, FatalError):  # that says all there is to say, once the daemon ends with it
                log.error("thread %s ended", name, exc_info=error)
            self.fatal.append(error)
        finally:
            self._due.pop(name, None)

    def late(self) -> list[str]:
        """The threads that are past their bound."""
        now = time.monotonic()
        return [name for name, due in self._due.copy().items() if now > due]

    def join(self, timeout: float, name: str | None = None) -> bool:
        """Wait for all of them, or for one, for so many seconds together; whether they have ended."""
        deadline = time.monotonic() + timeout
        wanted = [thread for each, thread in self._started.items() if name in (None, each)]
        for thread in wanted:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in wanted)
