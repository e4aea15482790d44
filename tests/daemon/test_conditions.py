"""`when:` of a rule."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.model import Conditions
from daemon.pipeline.conditions import unfit_color, unfit_size
from tests.box import Pixels


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        (Conditions(), None),
        (Conditions(min_width=100, max_width=100, min_height=50, max_height=50), None),
        (Conditions(min_width=101), "width 100 < min_width 101"),
        (Conditions(max_width=99), "width 100 > max_width 99"),
        (Conditions(min_height=51), "height 50 < min_height 51"),
        (Conditions(max_height=49), "height 50 > max_height 49"),
    ],
)
def test_size(when: Conditions, reason: str | None) -> None:
    assert unfit_size(when, 100, 50) == reason


def test_color(small: Pixels) -> None:
    gray = np.repeat(small[..., :1], 3, axis=2)
    assert unfit_color(Conditions(), small) is None
    assert unfit_color(Conditions(color=True), small) is None and unfit_color(Conditions(color=False), gray) is None
    assert "gray" in (unfit_color(Conditions(color=True), gray) or "")
    assert "colour" in (unfit_color(Conditions(color=False), small) or "")


def test_one_coloured_pixel_is_colour() -> None:
    picture = np.zeros((50, 100, 3), np.uint8)
    picture[49, 99, 2] = 1
    assert unfit_color(Conditions(color=True), picture) is None
