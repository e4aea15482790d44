"""What is known of a picture, how tiles become one, and when it is time to stop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kernels import prior_stop
from kernels.prior_canvas import blank, laid, shown
from kernels.prior_observation import colors_of, lanczos_taps, levels_of, observed, reduced
from kernels.prior_plan import cut
from kernels.tasks import State
from tests.kernels.hybrids import photograph
from tests.prior.references import smaller


@pytest.mark.parametrize("factor", range(2, 9))
def test_made_smaller(factor: int) -> None:
    picture = torch.rand(1, 2, 6 * factor, 5 * factor, dtype=torch.float64)
    made = reduced(picture, factor)
    assert made.shape == (1, 2, 6, 5)
    assert np.allclose(made[0, 1].numpy(), smaller(picture[0, 1].numpy(), factor), atol=1e-12)
    assert len(lanczos_taps(factor)) == (4 * factor if factor % 2 == 0 else 4 * factor - 1)


def test_only_what_is_known_counts() -> None:
    levels, kept = torch.rand(1, 3, 4, 6), torch.ones(1, 1, 4, 6)
    kept[..., 2:] = 0
    picture = levels.clone()
    picture[..., 2:] = 7  # wherever it is not known
    known = observed(levels, kept, 1, None)
    assert float(known.loss(picture)) == 0 and known.held is None
    picture[..., 0] += 0.5
    assert float(known.loss(picture)) == pytest.approx(0.25 / 6), "the mean is over all pixels"


@pytest.mark.parametrize(("side", "share"), [(40, 0.1), (100, 0.044), (300, 0.02)])
def test_some_pixels_are_held_out(side: int, share: float) -> None:
    """Never of those that are not known; what is trained on and what is held out have nothing in common."""
    levels, kept = torch.rand(1, 3, side, side), torch.ones(1, 1, side, side)
    kept[..., : side // 10] = 0
    known = observed(levels, kept, 1, torch.Generator().manual_seed(0))
    assert known.held is not None and known.seen is not None
    assert torch.equal(known.seen + known.held, kept)
    assert float(known.held.sum() / kept.sum()) == pytest.approx(share, rel=0.2)
    picture = levels + 0.5 * known.held
    assert float(known.loss(picture)) == 0 and float(known.held_out(picture)) == pytest.approx(0.25)


def test_grey_pictures_have_one_color() -> None:
    picture = photograph("astronaut", 16, 16)
    assert colors_of(picture) == 3 and levels_of(picture, 3).shape == (1, 3, 16, 16)
    grey = picture[:, :, :1].expand(-1, -1, 3)
    assert colors_of(grey) == 1 and levels_of(grey, 1).shape == (1, 1, 16, 16)


@pytest.mark.parametrize(("height", "width", "factor"), [(300, 513, 1), (256, 300, 4), (90, 700, 1)])
def test_tiles_become_one_picture(height: int, width: int, factor: int) -> None:
    """Whatever it began as: where tiles overlap they count as much as one, and seams are ramps."""
    picture, start = photograph("chelsea", height, width), photograph("coffee", height, width)
    canvas, places = blank(start), cut(height, width, 256, factor)
    assert len(places) > 1
    assert torch.equal(shown(canvas), start)
    for tile in places:
        part = picture[tile.rows.seen, tile.columns.seen].permute(2, 0, 1)[None].float() / 255
        canvas = laid(canvas, start, tile, part)
    assert int((shown(canvas).int() - picture).abs().max()) <= 1


def test_a_seam_is_a_ramp() -> None:
    """Two tiles that disagree: no step between neighbours is larger than one row of the ramp."""
    start = torch.zeros(64, 400, 3, dtype=torch.uint8)
    canvas, places = blank(start), cut(64, 400, 300, 1)
    for level, tile in zip((0.0, 1.0), places, strict=True):
        canvas = laid(canvas, start, tile, torch.full((1, 1, 64, tile.columns.high - tile.columns.low), level))
    row = shown(canvas)[7, :, 0].int()
    assert row[0] == 0 and row[-1] == 255 and int(row.diff().abs().max()) <= math.ceil(255 / 64)


def _told(signals: list[float], patience: int, lag: int = 0, fixed: bool = False) -> tuple[int, State]:
    """Where it would have stopped, and what it then had; the picture of a step is its number."""
    state: State = {}
    for step, signal in enumerate(signals, 1):
        prior_stop.note(state, step, torch.tensor(signal), torch.tensor([float(step)]), lag=lag, fixed=fixed)
        if prior_stop.settled(state, step, patience):
            return step, state
    return len(signals), state


@pytest.mark.parametrize("lag", [0, 100])
def test_it_stops_when_the_signal_rises(lag: int) -> None:
    curve = [1 / step for step in range(1, 301)] + [1 / 300 + step / 1e4 for step in range(1, 700)]
    stopped, state = _told(curve, 200, lag)
    assert stopped == 500 and int(state["at"]) == 300 and float(state["least"]) == pytest.approx(1 / 300)
    assert float(state["best"]) == 300 + lag == int(state["taken"])


def test_it_does_not_stop_while_it_falls() -> None:
    stopped, state = _told([1 / step for step in range(1, 900)], 200)
    assert stopped == 899 == int(state["at"]) == float(state["best"])


def test_early_rest_is_none() -> None:
    """The variance is small before anything is learned."""
    stopped, state = _told([1e-9] * 50 + [1 / step for step in range(1, 500)], 60, lag=100)
    assert stopped == 549 and int(state["at"]) == 549


def test_an_early_least_is_one() -> None:
    """The error of held-out pixels counts from the first step on: much noise in a small picture is learned soon."""
    stopped, state = _told([abs(step - 30) for step in range(1, 500)], 200)
    assert stopped == 230 and int(state["at"]) == 30 == float(state["best"])


def test_without_a_stop_the_last_counts() -> None:
    stopped, state = _told([float(step) for step in range(500)], 1000, fixed=True)
    assert stopped == 500 == int(state["at"]) == float(state["best"])
