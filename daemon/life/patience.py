"""How long a daemon waits for a ledger that its disk does not let it use: as long as it lives, and `--once` a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from daemon.errors import BlockedError
from daemon.life.threads import beat

GIVE_UP = 15.0
"""Seconds without any progress after which `--once` leaves blocked jobs waiting and says so."""
HEALED_AFTER = 15.0
"""Seconds without a complaint of the ledger after which its next trouble is a new one. A try takes up to ten."""


class Patience:
    """Asked by the ledger whether to try again. With `once` not for ever: then it `gave_up`, and sets `stop`."""

    def __init__(self, complain: Callable[[str], None], stop: threading.Event, *, once: bool) -> None:
        self._complain = complain
        self._stop = stop
        self._once = once
        self._since = self._last = -HEALED_AFTER
        self.gave_up = False

    def __call__(self, error: BlockedError) -> bool:
        """Whether to try again; a second later, then."""
        beat()  # who waits for the disk does not hang
        self._complain(f"{error}; work goes on by itself")
        now = time.monotonic()
        if now - self._last > HEALED_AFTER:
            self._since = now
        self._last = now
        if self._once and now - self._since > GIVE_UP:
            self.gave_up = True
            self._stop.set()  # jobs may be left in the middle by threads that are told no: only a new start mends that
            return False
        return not self._stop.wait(1.0)
