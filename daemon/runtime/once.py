"""Things by name, each made once, when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Once(Generic[Key, Value]):
    """To open and to prove a graph takes up to seconds: it delays those who want the same one, and nobody else."""

    def __init__(self, make: Callable[[Key], Value]) -> None:
        self._make = make
        self._made: dict[Key, Value] = {}
        self._lock = threading.Lock()
        self._being_made: dict[Key, threading.Lock] = {}

    def get(self, key: Key) -> Value | None:
        """What was made already."""
        return self._made.get(key)

    def all(self) -> list[Value]:
        """Everything made so far."""
        return list(self._made.values())

    def keep(self, keys: Collection[Key]) -> None:
        """Forget what was made for others. Whoever uses such a thing now goes on with it."""
        for key in list(self._made):
            if key not in keys:
                self._made.pop(key, None)

    def __getitem__(self, key: Key) -> Value:
        """Raises what `make` raises; the next who asks has it tried again."""
        if (made := self._made.get(key)) is not None:
            return made
        with self._lock:
            own = self._being_made.setdefault(key, threading.Lock())
        with own:
            if (made := self._made.get(key)) is None:  # a local value: `keep` may forget it in this moment
                made = self._made[key] = self._make(key)
            return made
