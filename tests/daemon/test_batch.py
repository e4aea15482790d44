"""Buckets by shape, a budget in pixels, and turns for all."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from daemon.pipeline.batch import Batcher


def test_shapes_never_mix() -> None:
    batcher: Batcher[str] = Batcher(1000)
    for index, key in enumerate("aabab"):
        batcher.add(key, f"{key}{index}", 10)
    assert batcher.take() == ("a", ["a0", "a1", "a3"])
    assert batcher.take() == ("b", ["b2", "b4"])
    assert not batcher


def test_budget_in_pixels() -> None:
    batcher: Batcher[int] = Batcher(100)
    for index in range(5):
        batcher.add("k", index, 40)
    assert [list(batcher.take()[1]) for _ in range(3)] == [[0, 1], [2, 3], [4]]


def test_exactly_the_budget_fits() -> None:
    batcher: Batcher[int] = Batcher(100)
    for index in range(4):
        batcher.add("k", index, 50)
    assert list(batcher.take()[1]) == [0, 1]


def test_one_over_the_budget_goes_alone() -> None:
    batcher: Batcher[str] = Batcher(100)
    batcher.add("k", "huge", 5000)
    batcher.add("k", "small", 1)
    assert list(batcher.take()[1]) == ["huge"] and list(batcher.take()[1]) == ["small"]


def test_large_bucket_does_not_keep_others_waiting() -> None:
    batcher: Batcher[str] = Batcher(2)
    for index in range(6):
        batcher.add("many", f"m{index}", 1)
    batcher.add("rare", "r", 1)
    assert [batcher.take()[0] for _ in range(4)] == ["many", "rare", "many", "many"]


def test_nothing_ready() -> None:
    batcher: Batcher[str] = Batcher(2)
    assert not batcher
    with pytest.raises(LookupError):
        batcher.take()


def test_everything_comes_out_once_and_in_order() -> None:
    chance, batcher = random.Random(3), Batcher[tuple[int, int]](64)
    put, got = Counter[tuple[int, int]](), list[tuple[int, int]]()
    for index in range(500):
        key = chance.randrange(5)
        batcher.add(key, (key, index), chance.randrange(1, 40))
        put[key, index] += 1
        if chance.random() < 0.3:
            got += batcher.take()[1]
    while batcher:
        got += batcher.take()[1]
    assert Counter(got) == put
    for key in range(5):
        assert (mine := [index for k, index in got if k == key]) == sorted(mine)
