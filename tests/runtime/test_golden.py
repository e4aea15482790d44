"""Golden pictures: what is kept beside a graph, what is made of a damaged card, and what counts as a difference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from daemon.runtime.graph import golden_of
from export import build
from export.anatomy import anatomy
from export.golden import MOST_BYTES, SHAPE, Golden, difference, none_made, pack, pattern, unpack, why_none
from kernels.chain import parse_chain


@pytest.fixture
def golden() -> Golden:
    batch = pattern(SHAPE)
    return Golden(batch, {"output": batch, "measured_0": np.array([[0.25], [1e-12]], np.float32)})


def test_the_compiler_leaves_one(mosaic: Path) -> None:
    found = golden_of(mosaic)
    assert found is not None and found.outputs["output"].shape == found.batch.shape == (*SHAPE, 3)


def test_the_pattern_never_changes() -> None:
    """Cards outlive versions of NumPy."""
    picture = pattern((2, 3, 4))
    assert picture[0, 0].tolist() == [[0, 158, 60], [218, 120, 23], [181, 83, 241], [143, 46, 204]]
    assert picture[1, 2, 3].tolist() == [5, 10, 15]


def test_packed_and_unpacked(golden: Golden) -> None:
    found = unpack(json.loads(json.dumps(pack(golden))))
    assert found is not None and np.array_equal(found.batch, golden.batch)
    assert difference(found.outputs, golden) == "" and found.outputs["measured_0"].dtype == np.float32


def test_of_a_large_output_values_from_everywhere_are_kept(golden: Golden) -> None:
    large = pattern((1, 790, 600))
    assert large.nbytes > MOST_BYTES
    card = json.loads(json.dumps(pack(Golden(golden.batch, {"output": large}))))
    assert len(json.dumps(card)) < MOST_BYTES // 8
    found = unpack(card)
    assert found is not None and difference({"output": large}, found) == ""
    assert "has the shape" in difference({"output": large[:, :-1]}, found)
    for spoilt in (large[..., 1], large[:, :, 7::50], large[:, 300:340]):
        kept = spoilt.copy()
        spoilt[:] = 255 - spoilt
        assert "levels off" in difference({"output": large}, found)
        spoilt[:] = kept


@pytest.mark.parametrize(
    ("size", "text"), [({"width": 3000}, ""), ({"height": 3000}, ""), ({"width": 9000, "height": 9000}, "megapixels")]
)
def test_chains_that_make_large_pictures(size: dict[str, int], text: str) -> None:
    """A rule is held against PyTorch whatever it makes of small pictures, unless every start would pay for it."""
    made = build.golden(parse_chain([{"resize": size}]))
    assert (made is None) == bool(text) and text in build.TOO_LARGE
    assert why_none(none_made(build.TOO_LARGE)) == build.TOO_LARGE and unpack(none_made(build.TOO_LARGE)) is None


@pytest.mark.parametrize(
    "card",
    [
        None,
        [],
        {},
        {"shape": [1, 2]},
        {"shape": [2, 25, 38], "outputs": {"a": {"data": "?"}}},
        "text",
        {"shape": [2, 25, 38], "outputs": {}},
    ],
)
def test_a_damaged_card_has_none(card: object) -> None:
    assert unpack(card) is None and why_none(card) == ""


def test_flat_blocks_count_once() -> None:
    """A mosaic of blocks of 64 has one value a channel here: a tie in one of six is no other picture."""
    right = np.full((*SHAPE, 3), 100, np.uint8)
    tie = right.copy()
    tie[0, :, :, 1] += 1
    golden = Golden(pattern(SHAPE), {"output": right})
    assert difference({"output": tie}, golden) == ""
    assert "1 of 255" in difference({"output": right + np.uint8(1)}, golden), "all of them are no ties"
    assert "2 of 255" in difference({"output": right + 2 * (tie - right)}, golden)


def test_another_type_is_a_difference(golden: Golden) -> None:
    given = {**golden.outputs, "output": golden.outputs["output"].astype(np.float32)}
    assert "output has the type float32, not uint8" in difference(given, golden)


def test_differences(golden: Golden) -> None:
    given = dict(golden.outputs)
    right = golden.outputs["output"]
    few = right.copy()
    few[0, 0, :, 0] ^= 1
    assert difference(given | {"output": few}, golden) == "", "a tie may fall either way, now and then"
    assert "1 of 255 levels off" in difference(given | {"output": right ^ np.uint8(1)}, golden), "but not everywhere"
    few[0, 0, 0, 0] ^= 2
    assert "levels off" in difference(given | {"output": few}, golden)
    assert "has the shape" in difference(given | {"output": right[:1]}, golden)
    assert "no 'measured_0'" in difference({"output": right}, golden)
    measured = golden.outputs["measured_0"]
    assert difference(given | {"measured_0": measured * np.float32(1.0005)}, golden) == ""
    assert difference(given | {"measured_0": measured + np.float32(1e-10)}, golden) == "", "nothing is left to differ"
    assert "times itself off" in difference(given | {"measured_0": measured * np.float32(1.01)}, golden)
    assert "off" in difference(given | {"measured_0": measured * np.float32(np.nan)}, golden)


def test_anatomy_tells_pixels_from_sizes(mosaic: Path, pooling: Path) -> None:
    double, single = anatomy(mosaic), anatomy(pooling)
    assert double.float64 and not single.float64
    for parts in (double, single):
        assert parts.pixel_nodes and parts.shape_nodes and not parts.pixel_nodes & parts.shape_nodes
