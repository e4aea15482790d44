"""TensorRT's engines: kept by what they depend on, built in the background, used when they have proven themselves.

An engine takes seconds to minutes to build. So none is built before pictures of one size keep coming, CUDA serves
until it is there, and only then it takes over; and what goes wrong costs nothing but the attempt.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from daemon.runtime import engine_cache, providers
from daemon.runtime.devices import Device, EngineError, Gpu, Unproven
from daemon.runtime.engine import Engine, Session, Source
from daemon.runtime.proof import Expectation, prove, prove_picture
from daemon.runtime.providers import Bucket, Plan, Size
from export.golden import Golden, pattern

HOT = 8  # pictures of one size after which an engine is worth building
MOST_ENGINES = 8  # in use at once; the one used longest ago makes way
MOST_KNOWN = 1024  # sizes remembered, as seen or as failed
MOST_WISHES = 8  # waiting to be built
BATCH_PIXELS = 16_000_000
"""Pixels of the largest batch an engine takes; larger ones go through it in parts. It is planned for this much."""
BATCH_PICTURES = 256
WAIT = 0.2  # seconds after which the builder looks up (law 6)
TRIES = 3  # runs whose best time counts

NO_PROFILE = "dynamic shape inputs with associated profiles"
"""What the provider says when an explicit profile does not name all the inputs it needs (onnxruntime #17007)."""

Key: TypeAlias = tuple[Path, Size]


def bucket_for(size: Size) -> Bucket:
    """The bucket of pictures of this height and width."""
    height, width = size
    return Bucket(height, width, max(1, min(BATCH_PICTURES, BATCH_PIXELS // (height * width))))


def open_bucket(engine: Engine, graph: Source, gpu: Gpu, bucket: Bucket, folder: Path) -> tuple[Session, Plan]:
    """Open a graph for a bucket, with the explicit profile if that suffices. Raises EngineError and its like.

    `folder` is where the engine is, or will be kept.
    """
    timing = engine_cache.timing_folder(folder.parent)
    plan = providers.tensorrt(gpu.free, folder, timing, bucket)
    try:
        return engine.open(graph, plan), plan
    except EngineError as error:
        if NO_PROFILE not in str(error):
            raise
    plan = providers.tensorrt(gpu.free, folder, timing, bucket, explicit=False)
    return engine.open(graph, plan), plan


@dataclass(frozen=True, slots=True)
class Wish:
    """An engine to build: of a graph that `base` runs meanwhile, for pictures of a size."""

    graph: Path
    size: Size
    base: Session
    shape_nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Built:
    """An engine in use, for batches of up to `most` pictures."""

    session: Session
    most: int


class NotFaster(Unproven):
    """An engine that is right, but gains nothing over CUDA."""


class Builder:
    """The engines of one runtime. `tell` gets a line for the user; with `must_gain` an engine has to be faster."""

    def __init__(self, engine: Engine, gpu: Gpu, cache: Path, *, tell: Callable[[str], None], must_gain: bool) -> None:
        self._engine, self._gpu, self._cache = engine, gpu, cache
        self._tell, self._must_gain = tell, must_gain
        self._lock = threading.Lock()
        self._engines: OrderedDict[Key, Built] = OrderedDict()
        self._seen: OrderedDict[Key, int] = OrderedDict()
        self._failed: OrderedDict[Key, str] = OrderedDict()
        self._wishes: queue.Queue[Wish] = queue.Queue(MOST_WISHES)
        self._wished: set[Key] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def find(self, graph: Path, size: Size) -> Built | None:
        """The engine for pictures of this size, if it is ready."""
        with self._lock:
            if (built := self._engines.get((graph, size))) is not None:
                self._engines.move_to_end((graph, size))
            return built

    def saw(self, graph: Path, size: Size, base: Session, shape_nodes: frozenset[str], pictures: int) -> None:
        """`base` ran so many pictures for want of an engine; it is built once there were enough. Never waits."""
        key = graph, size
        with self._lock:
            if key in self._failed or key in self._wished or key in self._engines or self._stop.is_set():
                return
            self._seen[key] = self._seen.pop(key, 0) + pictures
            _bound(self._seen, MOST_KNOWN)
            if self._seen[key] < HOT or self._wishes.full():
                return
            self._wished.add(key)
            self._wishes.put_nowait(Wish(graph, size, base, shape_nodes))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tensorrt", daemon=True)
                self._thread.start()

    def drop(self, graph: Path, size: Size, why: str) -> None:
        """An engine failed in use: CUDA takes its pictures from now on."""
        with self._lock:
            self._engines.pop((graph, size), None)
        self._fail((graph, size), why)

    def keep(self, graphs: Collection[Path]) -> None:
        """Forget the engines of other graphs, and what was seen of them."""
        with self._lock:
            others = [key for key in self._engines if key[0] not in graphs]
            freed = [self._engines.pop(key) for key in others]
            for known in (self._seen, self._failed):
                for key in [key for key in known if key[0] not in graphs]:
                    del known[key]
        del freed  # not under the lock: it may wait for the card

    def stop(self) -> None:
        """Build nothing more and say nothing more; a build that is under way cannot be stopped."""
        self._stop.set()

    def close(self, timeout: float) -> bool:
        """Build nothing more. False if a build is still under way after `timeout` seconds."""
        self.stop()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                self._fulfil(self._wishes.get(timeout=WAIT))

    def _fulfil(self, wish: Wish) -> None:
        """A function of its own: what it leaves behind would keep its sessions open until the next wish."""
        key, begun = (wish.graph, wish.size), time.monotonic()
        try:
            built = self._build(wish)
        except NotFaster as error:
            self._fail(key, str(error), quiet=True)
        except Exception as error:  # noqa: BLE001 - whatever a build does, pictures go on as they did
            self._fail(key, str(error) or type(error).__name__)
        else:
            self._join(key, built, time.monotonic() - begun)

    def _build(self, wish: Wish) -> Built:
        bucket = bucket_for(wish.size)
        parts = {**self._engine.versions(Device.TENSORRT), **engine_cache.parts_of(wish.graph, self._gpu, bucket)}
        with engine_cache.place(self._cache, parts) as folder:
            session, plan = open_bucket(self._engine, wish.graph, self._gpu, bucket, folder)
            full = _golden(wish.base, bucket, bucket.most)
            # In this order the provider's own profile, where it needs one, reaches from one picture to a full batch.
            prove(session, plan, Expectation(wish.shape_nodes, full))
            prove_picture(session, plan.device, _golden(wish.base, bucket, 1))
            if self._must_gain:
                _compare(session, wish.base, full)
        return Built(session, bucket.most)

    def _join(self, key: Key, built: Built, seconds: float) -> None:
        with self._lock:
            self._wished.discard(key)
            self._engines[key] = built
            _bound(self._engines, MOST_ENGINES)
        height, width = key[1]
        if self._stop.is_set():
            return
        self._tell(f"tensorrt: takes over pictures of {width}×{height}; its engine was ready after {seconds:.0f} s")

    def _fail(self, key: Key, why: str, *, quiet: bool = False) -> None:
        with self._lock:
            self._wished.discard(key)
            new = key not in self._failed
            self._failed[key] = why
            _bound(self._failed, MOST_KNOWN)
        height, width = key[1]
        if new and not quiet and not self._stop.is_set():
            self._tell(f"tensorrt: no engine for pictures of {width}×{height} ({why}); cuda goes on with them")


def _golden(base: Session, bucket: Bucket, count: int) -> Golden:
    """What the session in use, itself proven against PyTorch, makes of a batch of this bucket."""
    batch = pattern((count, bucket.height, bucket.width))
    return Golden(batch, base.run(batch))


def _compare(session: Session, base: Session, golden: Golden) -> None:
    """Raises NotFaster. Both run beside whatever else the card does, so the best of a few runs counts."""
    ours, theirs = (min(_seconds(one, golden) for _ in range(TRIES)) for one in (session, base))
    if ours >= theirs:
        raise NotFaster(f"{ours * 1e3:.1f} ms a batch, where cuda takes {theirs * 1e3:.1f}")


def _seconds(session: Session, golden: Golden) -> float:
    begun = time.perf_counter()
    session.run(golden.batch)
    return time.perf_counter() - begun


def _bound(known: OrderedDict[Key, Any], most: int) -> None:
    """Forget the oldest; what was an engine is freed when its last run ends."""
    while len(known) > most:
        known.popitem(last=False)
