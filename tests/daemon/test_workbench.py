"""What is next: finishing before starting, nothing begun for want of memory, nothing lost and nobody left asleep."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from daemon.pipeline import workbench
from daemon.pipeline.batch import Batcher
from daemon.pipeline.budget import ByteBudget
from daemon.pipeline.workbench import Verb, Workbench


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "WAIT", 0.01)


def bench(
    *, ahead: int = 100, runs: int = 1, run_pixels: int = 1000, used: Callable[[], int] = lambda: 0
) -> Workbench[int]:
    """Items are numbers of pixels."""
    batcher: Batcher[int] = Batcher(20)
    return Workbench(
        batcher, ahead=ahead, runs=runs, run_pixels=run_pixels, pixels_of=lambda item: item, memory_used=used
    )


def next_run(work: Workbench[int]) -> Sequence[int]:
    """The batch that is to be run next."""
    task = work.take()
    assert task is not None and task[0] is Verb.RUN
    return task[1]


def test_finishing_comes_before_starting() -> None:
    work = bench(runs=2)
    work.add_to_decode([[1], [2]])
    work.add_ready([("k", 3)])
    batch = next_run(work)
    assert batch == [3]
    work.add_ready([("k", 4)])
    work.ran(batch, [[3]])
    assert work.take() == (Verb.ENCODE, [3])
    assert work.take() == (Verb.RUN, [4])
    assert work.take() == (Verb.DECODE, [1])
    assert work.take() == (Verb.DECODE, [2])
    assert work.take() is None


def test_runs_side_by_side_are_bounded() -> None:
    work = bench(runs=1)
    work.add_ready([("k", 15), ("k", 15)])
    batch = next_run(work)
    assert work.take() is None
    work.ran(batch, [])
    assert next_run(work) == [15]


def test_runs_side_by_side_are_bounded_in_pixels() -> None:
    work = bench(runs=3, run_pixels=30)
    work.add_ready([("k", 15), ("k", 15), ("k", 15)])
    first, second = next_run(work), next_run(work)
    assert first == second == [15] and work.take() is None
    work.ran(first, [])
    assert next_run(work) == [15]


def test_one_too_large_to_run_beside_another_runs_alone() -> None:
    work = bench(runs=3, run_pixels=30)
    work.add_ready([("small", 5), ("huge", 500)])
    small = next_run(work)
    assert work.take() is None
    work.ran(small, [])
    assert next_run(work) == [500]


def test_no_decoding_while_enough_lies_ready() -> None:
    work = bench(ahead=30, runs=1)
    work.add_to_decode([[1]])
    work.add_ready([("k", 20), ("k", 20)])
    batch = next_run(work)
    work.add_ready([("k", 20)])
    assert work.take() is None
    work.ran(batch, [])
    assert next_run(work) == [20]
    assert work.take() == (Verb.DECODE, [1])


def test_starved_until_memory_is_released() -> None:
    work = bench(used=lambda: 10)
    work.add_to_decode([[1], [2]])
    assert work.take() == (Verb.DECODE, [1])
    assert work.give_back([1]) == [] and work.to_decode == 2
    assert work.take() is None
    work.memory_freed()
    assert work.take() == (Verb.DECODE, [1]), "what was given back keeps its place"


def test_not_starved_when_everything_was_released_meanwhile() -> None:
    work = bench(used=lambda: 0)
    work.give_back([1])
    assert work.take() == (Verb.DECODE, [1])


def test_last_release_while_a_chunk_is_given_back() -> None:
    """The release falls between the look at the memory and the note that it is spent: nobody else would wake us."""
    held = [10]

    def used_and_then_released() -> int:
        before = held[0]
        held[0] = 0
        release = threading.Thread(target=work.memory_freed)
        release.start()
        release.join(0.05)
        return before

    work = bench(used=used_and_then_released)
    work.give_back([1])
    deadline = time.monotonic() + 2
    while (found := work.take()) is None:
        assert time.monotonic() < deadline, "starved for ever"
    assert found == (Verb.DECODE, [1])


def test_close_hands_back_what_was_not_begun() -> None:
    work = bench()
    work.add_to_decode([[1], [2, 3]])
    work.add_ready([("k", 4)])
    assert work.close() == [1, 2, 3] and work.to_decode == 0
    assert work.give_back([5]) == [5]
    work.ran(next_run(work), [[4]])
    assert work.take() == (Verb.ENCODE, [4])
    assert work.take() is None


def test_several_shapes_wake_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk may hold pictures of many shapes; each is a batch, and each may have a thread at once."""
    monkeypatch.setattr(workbench, "WAIT", 5.0)
    work = bench(runs=3)
    taken, begun = list[object](), threading.Barrier(4)

    def take() -> None:
        begun.wait()
        taken.append(work.take())

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    while len(work._changed._waiters) < 3:  # type: ignore[attr-defined]  # all are asleep
        time.sleep(0.001)
    work.add_ready([("a", 1), ("b", 2), ("c", 3)])
    for thread in threads:
        thread.join(1.0)
    woken = len(taken)
    work.wake_all()
    for thread in threads:
        thread.join(10)
    assert woken == 3


@pytest.mark.parametrize("seed", range(4))
def test_everything_goes_through_once(seed: int) -> None:
    """Threads, a tight memory, pictures larger than all of it: a lost wake-up or a lost item would show here."""
    chance = random.Random(seed)
    items = [chance.choice([1, 2, 5, 30, 300]) for _ in range(2000)]
    work: Workbench[tuple[int, int]]
    budget = ByteBudget(100, freed=lambda: work.memory_freed())  # noqa: PLW0108 - there is no `work` yet
    work = Workbench(
        Batcher(40),
        ahead=60,
        runs=2,
        run_pixels=80,
        pixels_of=lambda item: item[1],
        memory_used=lambda: budget.used,
    )
    finished, lock, over = Counter[tuple[int, int]](), threading.Lock(), threading.Event()

    def decode(chunk: list[tuple[int, int]]) -> None:
        ready = []
        for number, item in enumerate(chunk):
            if not budget.try_charge(item[1]):
                assert work.give_back(chunk[number:]) == []
                break
            ready.append((item[1] % 3, item))
        work.add_ready(ready)

    def encode(chunk: list[tuple[int, int]]) -> None:
        for item in chunk:
            with lock:
                finished[item] += 1
            budget.release(item[1])

    def loop() -> None:
        while not over.is_set():
            if (task := work.take()) is not None:
                verb, chunk = task[0], list(task[1])
                if verb is Verb.DECODE:
                    decode(chunk)
                elif verb is Verb.RUN:
                    work.ran(task[1], [chunk[:1], chunk[1:]] if len(chunk) > 1 else [chunk])
                else:
                    encode(chunk)

    threads = [threading.Thread(target=loop) for _ in range(6)]
    for thread in threads:
        thread.start()
    numbered = list(enumerate(items))
    for start in range(0, len(numbered), 7):
        work.add_to_decode([numbered[start : start + 7]])
    deadline = time.monotonic() + 20
    while sum(finished.values()) < len(items) and time.monotonic() < deadline:
        time.sleep(0.002)
    over.set()
    for thread in threads:
        thread.join(5)
    assert finished == Counter(numbered) and budget.used == 0 and work.to_decode == 0
