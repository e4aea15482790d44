"""What is minimised, against NumPy in float64: terms, Gram matrices, gradient; whole and in tiles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.features.kinds import KINDS, LITE0
from kernels.features.networks import load
from kernels.features.tiled import Tiled, padded
from kernels.features.trunk import Trunk
from kernels.features.vgg19 import vgg19
from kernels.style_loss import variation
from kernels.style_objective import Objective, Recipe
from kernels.style_presets import CONVENTIONS
from kernels.tiles import tiles
from tests.kernels.hybrids import photograph
from tests.style import references
from tests.style.references import MEAN, Array, random_weights

CONTENT = {"conv1_2": 0.5, "conv2_1": 1.0}
STYLE = {"conv1_1": 1.0, "conv2_1": 3.0}
WEIGHTS = random_weights()
CPU = torch.device("cpu")


def network() -> Trunk:
    tensors = {name: torch.from_numpy(weight) for name, weight in WEIGHTS.items()}
    return vgg19("small", tensors, MEAN, [*CONTENT, *STYLE], CPU)


def levels(name: str, height: int, width: int) -> Tensor:
    return photograph(name, height, width).permute(2, 0, 1).float()


def double(picture: Tensor) -> Array:
    return picture.numpy().astype(np.float64)


def objective(recipe: Recipe, content: Tensor, style: Tensor, side: int = 1000) -> Objective:
    trunk = network()
    _, height, width = padded(style, trunk.stride).shape
    grams = Tiled(trunk, height, width, side).grams(padded(style, trunk.stride), recipe.style)
    return Objective(trunk, recipe, content, grams, side)


def close(found: Tensor | float, expected: Array | float) -> bool:
    """Within 1e-5 of the largest there is."""
    off = np.abs(np.asarray(found, np.float64) - expected).max()
    return bool(off <= 1e-5 * np.abs(expected).max())


PICTURES = levels("coffee", 32, 48), levels("astronaut", 32, 48), levels("chelsea", 40, 28)
"""The picture sought, the content, and a style of another shape."""


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_terms_and_gradient_against_float64(convention: str) -> None:
    x, content, style = PICTURES
    point = objective(Recipe(7.0, CONTENT, STYLE, 0.0, convention), content, style)(x)
    expected = references.loss(WEIGHTS, (double(x), double(content), double(style)), (CONTENT, STYLE), 7.0, convention)
    assert point.terms[0] == pytest.approx(expected.content, rel=1e-5)
    assert point.terms[1] == pytest.approx(expected.style, rel=1e-5)
    assert point.loss == pytest.approx(expected.content + 7 * expected.style, rel=1e-5)
    assert close(point.gradient, expected.gradient)


def test_gram_matrices_against_float64() -> None:
    x, trunk = PICTURES[0], network()
    found = Tiled(trunk, 32, 48, 1000).grams(x, STYLE)
    features = references.Network(WEIGHTS).forward(double(x))
    for name, matrix in found.items():
        assert close(matrix * features[name][0].size, references.gram(features[name]))


def test_a_term_is_nothing_at_its_own_target() -> None:
    _, content, style = PICTURES
    recipe = Recipe(1.0, CONTENT, STYLE, 0.0, "relative")
    assert objective(recipe, content, style)(content).terms[0] == 0
    assert objective(recipe, style, style)(style).terms == [0, pytest.approx(0, abs=1e-12)]


def test_relative_terms_do_not_know_the_scale_of_the_features() -> None:
    """That is what makes a strength mean the same for every network."""
    x, content, style = PICTURES
    before = objective(Recipe(1.0, CONTENT, STYLE, 0.0, "relative"), content, style)(x).terms
    WEIGHTS["conv1_1.weight"] *= 3
    WEIGHTS["conv1_1.bias"] *= 3
    try:
        for name in ("conv1_2.bias", "conv2_1.bias"):
            WEIGHTS[name] *= 3
        assert objective(Recipe(1.0, CONTENT, STYLE, 0.0, "relative"), content, style)(x).terms == pytest.approx(before)
    finally:
        for name in ("conv1_1.weight", "conv1_1.bias", "conv1_2.bias", "conv2_1.bias"):
            WEIGHTS[name] /= 3


@pytest.mark.parametrize("shape", [(33, 47), (1, 1), (3, 50)])
def test_any_size(shape: tuple[int, int]) -> None:
    """Sides that are no multiples of the stride; the gradient is that of the loss as it is."""
    content, style, x = (levels(name, *shape) for name in ("astronaut", "chelsea", "coffee"))
    found = objective(Recipe(1.0, CONTENT, STYLE, 5.0, "relative"), content, style)
    point = found(x)
    assert point.gradient.shape == x.shape and torch.isfinite(point.gradient).all()
    step = -point.gradient / point.gradient.norm()
    ahead, behind = found(x + step).loss, found(x - step).loss
    assert (ahead - behind) / 2 == pytest.approx(-float(point.gradient.norm()), rel=0.05)


def test_tiles_add_up_to_the_whole() -> None:
    """With a halo that covers all a feature sees, nothing is left out: the order of the sums alone tells them apart.

    The style term is a difference of nearly equal sums, and so ten times as sensitive to it.
    """
    content, style, x = (levels(name, 300, 420) for name in ("astronaut", "chelsea", "coffee"))
    recipe = Recipe(30.0, CONTENT, STYLE, 0.0, "relative")
    whole, cut = objective(recipe, content, style), objective(recipe, content, style, side=256)
    one, other = whole(x), cut(x)
    assert other.terms == pytest.approx(one.terms, rel=1e-4)
    off = (other.gradient - one.gradient).abs().max() / one.gradient.abs().max()
    assert off < 1e-4, float(off)


def test_tiles_of_the_pretrained_network_leave_out_next_to_nothing() -> None:
    """Its deepest features see farther than the halo, faintly: the gradient is off by less than 2 % in the mean."""
    kind = KINDS[LITE0]
    trunk = load(LITE0, [*kind.content, *kind.style], CPU)
    content, style, x = (levels(name, 512, 768) for name in ("astronaut", "chelsea", "coffee"))
    grams = Tiled(trunk, 512, 768, 1000).grams(style, kind.style)
    recipe = Recipe(100.0, kind.content, kind.style, 20.0, "relative")
    one, other = (Objective(trunk, recipe, content, grams, side)(x) for side in (1000, 384))
    assert other.loss == pytest.approx(one.loss, rel=0.01)
    off = (other.gradient - one.gradient).square().mean().sqrt() / one.gradient.square().mean().sqrt()
    assert off < 0.02, float(off)


def test_tiles_cover_each_pixel_once() -> None:
    for height, width, side in ((512, 512, 512), (512, 768, 384), (1008, 32, 300), (16, 16, 8)):
        seen = np.zeros((height, width), int)
        for tile in tiles(height, width, side=side, halo=32, stride=16):
            for span in (tile.rows, tile.columns):
                assert all(edge % 16 == 0 for edge in (span.start, span.stop, span.low, span.high))
                assert span.low <= span.start < span.stop <= span.high
            seen[tile.rows.own(1), tile.columns.own(1)] += 1
        assert (seen == 1).all()


def test_total_variation_against_float64() -> None:
    x = PICTURES[0]
    value, gradient = variation(x)
    one = double(x) / 255
    down, across = np.diff(one, axis=1), np.diff(one, axis=2)
    count = down.size + across.size
    assert float(value) == pytest.approx(((down**2).sum() + (across**2).sum()) / count, rel=1e-6)
    expected = np.zeros_like(one)
    expected[:, 1:] += down
    expected[:, :-1] -= down
    expected[:, :, 1:] += across
    expected[:, :, :-1] -= across
    assert close(gradient, 2 * expected / count / 255)


def test_gradient_of_a_grey_picture() -> None:
    """One plane is seen as three equal ones; its gradient is their sum."""
    x, content, style = (picture.mean(0, keepdim=True) for picture in PICTURES)
    recipe = Recipe(3.0, CONTENT, STYLE, 0.0, "relative")
    grey = objective(recipe, content, style)(x)
    three: Mapping[str, Tensor] = {"x": x.repeat(3, 1, 1), "c": content.repeat(3, 1, 1), "s": style.repeat(3, 1, 1)}
    color = objective(recipe, three["c"], three["s"])(three["x"])
    assert grey.loss == pytest.approx(color.loss) and close(grey.gradient, double(color.gradient.sum(0, keepdim=True)))
