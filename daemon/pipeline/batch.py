"""Pictures that can run together: same graph, same height and width. Nothing here waits or knows of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
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

    def next_pixels(self) -> int:
        """Pixels of what `take` would give; 0 when nothing is ready."""
        return sum(size for _, size in self._within_budget(next(iter(self._buckets.values()), deque())))

    def take(self) -> tuple[Hashable, Sequence[Item]]:
        """The oldest bucket's items up to the budget, at least one; raises LookupError when nothing is ready."""
        if not self._buckets:
            raise LookupError("nothing is ready")
        key = next(iter(self._buckets))
        bucket = self._buckets.pop(key)
        taken = [item for item, _ in self._within_budget(bucket)]
        for _ in taken:
            bucket.popleft()
        if bucket:
            self._buckets[key] = bucket  # re-entered last: other shapes get their turn
        return key, taken

    def _within_budget(self, bucket: Iterable[tuple[Item, int]]) -> list[tuple[Item, int]]:
        chosen, pixels = list[tuple[Item, int]](), 0
        for item, size in bucket:
            if chosen and pixels + size > self.budget:
                break
            chosen.append((item, size))
            pixels += size
        return chosen
