"""The bound on memory."""

from __future__ import annotations

import random
import threading

from daemon.pipeline.budget import ByteBudget


def test_charges_up_to_the_limit() -> None:
    budget = ByteBudget(100)
    assert budget.try_charge(60) and budget.try_charge(40) and not budget.try_charge(1)
    budget.release(40)
    assert budget.used == 60 and budget.try_charge(40)


def test_more_than_everything_goes_alone() -> None:
    budget = ByteBudget(100)
    assert budget.try_charge(1)
    assert not budget.try_charge(500)
    budget.release(1)
    assert budget.try_charge(500) and not budget.try_charge(1)
    budget.release(500)
    assert budget.used == 0


def test_release_is_told_after_it_counts() -> None:
    seen = list[int]()
    budget = ByteBudget(100, freed=lambda: seen.append(budget.used))
    assert budget.try_charge(70)
    budget.release(30)
    assert seen == [40]


def test_threads_never_exceed_it() -> None:
    budget, beyond, in_use, lock = ByteBudget(1000), list[int](), [0], threading.Lock()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(2000):
            size = chance.randrange(1, 600)
            if budget.try_charge(size):
                with lock:
                    in_use[0] += size
                    if in_use[0] > 1000:
                        beyond.append(in_use[0])
                with lock:
                    in_use[0] -= size
                budget.release(size)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert beyond == [] and budget.used == 0
