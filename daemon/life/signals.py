"""Signals. Their handlers take no lock: what they ask for is done by a thread.

A handler runs in the main thread, in the midst of whatever that does. Had that just taken the lock of the event which
the handler sets, both would wait for good: one in ten daemons whose terminal was closed as they became ready hung so.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType


class Signals:
    """Those that end darkroom set `stop`, and are counted: the second waits for nothing. SIGHUP asks for `reload`."""

    def __init__(self, stop: threading.Event, reload: Callable[[], None]) -> None:
        self._stop = stop
        self._reload = reload
        self._heard: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        """The one queue whose `put` may interrupt itself, as the documentation of Python says."""
        self.ends = 0
        """How many asked for the end."""

    def hear(self) -> None:
        """From now on. Called from the main thread."""
        signal.signal(signal.SIGINT, self._on_end)
        signal.signal(signal.SIGTERM, self._on_end)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(signal.SIGHUP, self._on_closed if _has_terminal() else self._on_hangup)
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # a lease we test for may be broken; see scan.being_written

    def run(self) -> None:
        """Do what is asked for, until `wake`."""
        while (asked := self._heard.get()) is not None:
            asked()

    def wake(self) -> None:
        """End `run`."""
        self._heard.put(None)

    def close(self) -> None:
        """Hear no more: from now on whoever asks for the end has it at once, and Python does not complain of it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._heard.put(self._reload)

    def _on_closed(self, number: int, frame: FrameType | None) -> None:
        """The terminal was. A shell passes that on, and the kernel tells it once more: nobody is impatient."""
        self.ends = max(self.ends, 1)
        self._heard.put(self._stop.set)

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        self.ends += 1
        self._heard.put(self._stop.set)
        if self.ends > 1:
            self.close()
            raise KeyboardInterrupt


def _has_terminal() -> bool:
    """Whether this process has a terminal: then a hang-up means that it was closed, else that rules are to be read."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
