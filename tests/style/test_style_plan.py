"""The plan: sizes, optimiser and tiles within the memory there is."""

from __future__ import annotations

import pytest

from kernels.style_plan import HISTORIES, Costs, plan, sizes
from kernels.tasks import TaskStarved
from kernels.tiles import tiles

COSTS = Costs(pixel=1000, features=80, fixed=200 << 20, channels=3, stride=16)
GIB = 1 << 30


def test_sizes_double() -> None:
    assert sizes(2000, 3000, None) == [(62, 94), (125, 188), (250, 375), (500, 750), (1000, 1500), (2000, 3000)][1:]
    assert sizes(512, 512, None) == [(128, 128), (256, 256), (512, 512)]
    assert sizes(90, 60, None) == [(90, 60)] and sizes(1, 1, None) == [(1, 1)]
    assert sizes(512, 400, 1) == [(512, 400)] and sizes(10, 4, 5) == [(1, 1), (1, 1), (2, 1), (5, 2), (10, 4)]


@pytest.mark.parametrize("side", [100, 400, 417, 512, 1000])
def test_a_picture_that_fits_is_one_tile(side: int) -> None:
    """Also where it is padded to the stride of a network."""
    (planned,) = plan([(side, side)], 1, COSTS, "auto", 64 * GIB)
    for stride in (8, 16, 32):
        padded = side + -side % stride
        assert len(tiles(padded, padded, side=planned.side, halo=96, stride=stride)) == 1


def test_less_memory_means_less_history_then_tiles_then_adam() -> None:
    def way(memory: float, optimizer: str = "auto") -> tuple[int, int]:
        (planned,) = plan([(1024, 1024)], 50, COSTS, optimizer, int(memory * GIB))
        assert planned.memory <= memory * GIB
        return planned.history, planned.side

    assert way(8) == (5, 1024)
    assert way(1.6) == (3, 1024)
    assert way(1.1) == (5, 768)
    assert way(0.7)[1] < 768 and way(0.6)[0] == 0
    assert way(8, "adam") == (0, 1024) and way(8, "lbfgs") == (5, 1024)
    with pytest.raises(TaskStarved, match=r"1024×1024 needs \d+ MiB at least, and 102 MiB can be had; give it a"):
        way(0.1)
    (modest,) = plan([(1024, 1024)], 50, COSTS, "auto", GIB, wanted=GIB // 8)
    assert modest == plan([(1024, 1024)], 50, COSTS, "auto", modest.memory)[0], "thrift asks for less than can be"


def test_large_pictures_go_to_adam_whose_state_is_small() -> None:
    (small, large) = plan([(1000, 1000), (2000, 3000)], 1, COSTS, "auto", 64 * GIB)
    assert small.history == HISTORIES[0] and large.history == 0
    (asked,) = plan([(2000, 3000)], 1, COSTS, "lbfgs", 64 * GIB)
    assert asked.history == HISTORIES[0]


def test_six_megapixels_within_eight_gigabytes() -> None:
    """With VGG-19, whose pixels cost some 2.4 kB, and what a machine with 8 GB has free of them."""
    vgg = Costs(pixel=2400, features=32, fixed=300 << 20, channels=3, stride=16)
    planned = plan(sizes(2000, 3000, None), 50, vgg, "auto", int(4.5 * GIB))
    assert max(each.memory for each in planned) < 4.5 * GIB
