"""The work that lies ready for the threads of the pipeline: what to decode, to run and to encode.

One lock, one place that decides what is next: encoding first and decoding last, because finishing a picture frees
memory and starting one takes it; and no decoding at all while enough lies decoded, or while memory is spent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum, auto
from typing import Generic, TypeAlias, TypeVar

from daemon.pipeline.batch import Batcher

Item = TypeVar("Item")
Chunk: TypeAlias = Sequence[Item]
WAIT = 0.5
"""Seconds after which a waiting thread looks up, whatever it was told (law 6)."""


class Verb(Enum):
    """What to do with a chunk."""

    DECODE = auto()
    RUN = auto()
    ENCODE = auto()


class Workbench(Generic[Item]):
    """Three heaps of work under one lock. `pixels_of` gives an item's size; `ahead` bounds the decoded pixels ready.

    At most `runs` chunks are run at a time, and beside another one no more than `run_pixels` altogether.
    `memory_used` tells whether any memory is in flight: a picture that did not fit waits for some to be released.
    """

    def __init__(
        self,
        batcher: Batcher[Item],
        *,
        ahead: int,
        runs: int,
        run_pixels: int,
        pixels_of: Callable[[Item], int],
        memory_used: Callable[[], int],
    ) -> None:
        self._changed = threading.Condition()
        self._decode: deque[Chunk[Item]] = deque()
        self._encode: deque[Chunk[Item]] = deque()
        self._batcher = batcher
        self._pixels_of = pixels_of
        self._memory_used = memory_used
        self._ahead = ahead
        self._runs = runs
        self._run_pixels = run_pixels
        self._running: dict[int, int] = {}
        self._to_decode = 0
        self._ready_pixels = 0
        self._starved = False
        self._closed = False

    @property
    def to_decode(self) -> int:
        """Items that wait to be decoded."""
        return self._to_decode

    def close(self) -> list[Item]:
        """Take no more in: threads finish what is decoded. Gives back what was not begun."""
        with self._changed:
            self._closed = True
            left = [item for chunk in self._decode for item in chunk]
            self._decode.clear()
            self._to_decode = 0
            self._changed.notify_all()
        return left

    def wake_all(self) -> None:
        """Let every waiting thread look up."""
        with self._changed:
            self._changed.notify_all()

    def add_to_decode(self, chunks: Sequence[Chunk[Item]]) -> None:
        """Put chunks behind the others."""
        with self._changed:
            self._decode.extend(chunks)
            self._to_decode += sum(map(len, chunks))
            self._changed.notify(len(chunks))

    def give_back(self, chunk: Chunk[Item]) -> list[Item]:
        """Put a chunk in front again, for want of memory; after `close` it is handed to the caller instead."""
        with self._changed:
            if self._closed:
                return list(chunk)
            self._decode.appendleft(chunk)
            self._to_decode += len(chunk)
            # In this order: `memory_freed` looks without the lock, and after the last release nobody else wakes us.
            self._starved = True
            self._starved = self._memory_used() > 0
        return []

    def memory_freed(self) -> None:
        """Some memory was released: decoding may go on."""
        if self._starved:
            with self._changed:
                self._starved = False
                self._changed.notify_all()

    def add_ready(self, items: Iterable[tuple[Hashable, Item]]) -> None:
        """Decoded items with their bucket keys."""
        with self._changed:
            keys = set[Hashable]()
            for key, item in items:
                pixels = self._pixels_of(item)
                self._batcher.add(key, item, pixels)
                self._ready_pixels += pixels
                keys.add(key)
            self._changed.notify(len(keys))  # each shape is a batch of its own

    def ran(self, batch: Chunk[Item], chunks: Sequence[Chunk[Item]]) -> None:
        """The run of a batch has ended; what came out of it is to be encoded."""
        with self._changed:
            self._running.pop(id(batch))
            self._encode.extend(chunks)
            self._changed.notify(1 + len(chunks))

    def take(self) -> tuple[Verb, Chunk[Item]] | None:
        """What to do next; None after a while without anything. Every RUN must be followed by `ran`."""
        with self._changed:
            if (found := self._next()) is None:
                self._changed.wait(WAIT)
                found = self._next()
            return found

    def _next(self) -> tuple[Verb, Chunk[Item]] | None:
        if self._encode:
            return Verb.ENCODE, self._encode.popleft()
        if self._batcher and self._may_run():
            return Verb.RUN, self._take_batch()
        if self._decode and not self._starved and self._ready_pixels < self._ahead:
            chunk = self._decode.popleft()
            self._to_decode -= len(chunk)
            return Verb.DECODE, chunk
        return None

    def _take_batch(self) -> Chunk[Item]:
        _, items = self._batcher.take()
        pixels = sum(map(self._pixels_of, items))
        self._ready_pixels -= pixels
        self._running[id(items)] = pixels
        return items

    def _may_run(self) -> bool:
        if not self._running:
            return True
        pixels = sum(self._running.values()) + self._batcher.next_pixels()
        return len(self._running) < self._runs and pixels <= self._run_pixels
