"""Pictures that can run together: same graph, same height and width. Nothing here waits or knows of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Batcher(Generic[Item]):
    """Buckets of ready items. Taken greedily: whoever is free gets what is ready, oldest bucket first.

    Waiting for a fuller batch would only add latency (Triton's batcher has no delay by default either); the budget is
    in pixels because memory and time go with pixels, not with pictures.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._buckets: dict[Hashable, deque[tuple[Item, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def add(self, key: Hashable, item: Item, pixels: int) -> None:
        """Make an item of so many pixels ready; equal keys may run together."""
        self._buckets.setdefault(key, deque()).append((item, pixels))

    def take(self) -> tuple[Hashable, Sequence[Item]]:
        """The oldest bucket's items up to the budget, at least one; raises LookupError when nothing is ready."""
        if not self._buckets:
            raise LookupError("nothing is ready")
        key = next(iter(self._buckets))
        bucket, taken, pixels = self._buckets.pop(key), list[Item](), 0
        while bucket and (not taken or pixels + bucket[0][1] <= self.budget):
            item, size = bucket.popleft()
            taken.append(item)
            pixels += size
        if bucket:
            self._buckets[key] = bucket  # re-entered last: other shapes get their turn
        return key, taken
