"""Trouble, told to the user once and not again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

AGAIN_AFTER = 60.0
"""Seconds after which the same trouble is told once more."""


class Complaints:
    """Called with a line of trouble; passes it on to `line` unless it did so within AGAIN_AFTER. Thread-safe."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._told: dict[str, float] = {}

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told.get(text, -AGAIN_AFTER) >= AGAIN_AFTER:
            # Replaced, never changed: threads complain at the same time, and the worst is a line told twice.
            self._told = {line: when for line, when in self._told.items() if now - when < AGAIN_AFTER} | {text: now}
            self._line(text)
