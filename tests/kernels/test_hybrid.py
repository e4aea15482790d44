"""The hybrid picture: its recipe against float64, its search, its strips, and that it can be taken up at any step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

import kernels.hybrid
from kernels.chain import ChainError, parse_chain
from kernels.gaussian import gaussian_taps
from kernels.hybrid_fit import fit_far
from kernels.hybrid_loss import HybridLoss, Recipe
from kernels.hybrid_quality import far_psnr, near_correlation
from kernels.shifted_blur import shifted_blur
from kernels.spec import operators
from kernels.strips import strips
from kernels.viewing import distances_picture, from_afar
from tests.kernels import hybrids
from tests.kernels.hybrids import pair, photograph, planes64, run

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

SEED_TAPS = (0.00881223, 0.02714358, 0.06511406, 0.12164907, 0.17699836, 0.20056541)
SMALL = (96, 128)


def flat(height: int, width: int, level: int) -> Tensor:
    return torch.full((height, width, 3), level, dtype=torch.uint8)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips in small pictures, as in large ones."""
    monkeypatch.setattr(kernels.hybrid, "PIXELS", (3000, 2000, 1000))


# The recipe.


def test_the_kernel_has_the_eight_digits_printed_in_the_recipe() -> None:
    assert [round(tap, 8) for tap in gaussian_taps(2, 11)] == [*SEED_TAPS, *SEED_TAPS[-2::-1]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 5), (33, 47)], ids=str)
def test_blur_is_that_of_two_convolutions(shape: tuple[int, int]) -> None:
    planes = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    expected = hybrids.blur64(planes.double(), hybrids.taps64(3, 15))
    assert torch.allclose(shifted_blur(planes, gaussian_taps(3, 15)).double(), expected, atol=1e-6)


@pytest.mark.parametrize("weights", [(0.1, 1.0), (1.0, 1.0), (0.1, 10.0)], ids=str)
def test_gradient_is_that_of_automatic_differentiation_in_float64(weights: tuple[float, float]) -> None:
    inputs = pair(40, 56)
    x = 3 * torch.randn(3, 40, 56, generator=torch.Generator().manual_seed(1))
    recipe = Recipe(*weights, gaussian_taps(3, 15), 2.2)
    found = HybridLoss(planes64(inputs["near"]).float(), planes64(inputs["far"]).float(), recipe)(x)
    exact = x.double().requires_grad_()
    precise, blurred = hybrids.recipe64(exact, inputs)
    (gradient,) = torch.autograd.grad(weights[0] * precise + weights[1] * blurred, exact)
    assert found.terms().tolist() == pytest.approx([precise.item(), blurred.item()], rel=1e-5)
    assert (found.gradient - gradient).abs().max() < 1e-5 * gradient.abs().max()


def test_gradient_is_a_number_however_black_or_white_the_picture_is() -> None:
    recipe = Recipe(0.3, 1.0, gaussian_taps(3, 15), 2.2)
    for far, x in ((0.0, -200.0), (1.0, -60.0), (0.0, 200.0)):
        found = HybridLoss(torch.zeros(3, 9, 9), torch.full((3, 9, 9), far), recipe)(torch.full((3, 9, 9), x))
        assert found.gradient.isfinite().all() and found.terms().isfinite().all()


@pytest.mark.parametrize("weight", [0.1, 0.3, 1.0])
def test_gradient_descent_follows_the_recipe(weight: float) -> None:
    """Each term at each of 200 steps, within 10⁻⁴ of float64; step k tells the loss before it, the record the last."""
    inputs = pair(64, 96)
    exact = hybrids.descent64(inputs, weight, 200)
    found = run(inputs, near_weight=weight, optimizer="gradient_descent")
    terms = [(loss["near_loss"], loss["far_loss"]) for loss in found.losses]
    terms.append((found.record["near_loss"], found.record["far_loss"]))
    assert len(terms) == len(exact) == 201 and found.record["steps"] == 200
    np.testing.assert_allclose(terms, exact, rtol=1e-4)
    assert found.losses[7]["loss"] == pytest.approx(weight * exact[7][0] + exact[7][1], rel=1e-4)


# The search.


@pytest.mark.parametrize("weight", [0.1, 0.3, 1.0])
def test_lbfgs_ends_lower_than_two_hundred_plain_steps(weight: float) -> None:
    inputs = pair(*SMALL)
    plain = run(inputs, near_weight=weight, optimizer="gradient_descent").record["loss"]
    found = run(inputs, near_weight=weight)
    assert found.record["loss"] < 0.99 * plain
    assert sum(loss["loss"] > plain for loss in found.losses) <= 10  # reached within so many steps
    assert found.record["steps"] < 100  # auto has stopped, and not long before there was nothing left to win
    assert run(inputs, near_weight=weight, steps=100).record["loss"] > 0.99 * found.record["loss"]


@pytest.mark.parametrize("weights", [(0.01, 1.0), (0.1, 10.0), (0.001, 1000.0), (1000.0, 0.001)], ids=str)
@pytest.mark.parametrize("start", ["linear", "near", "far", "grey"])
def test_the_loss_never_rises_whatever_the_weights(weights: tuple[float, float], start: str) -> None:
    found = run(pair(48, 64), near_weight=weights[0], far_weight=weights[1], start=start, steps=30)
    losses = [loss["loss"] for loss in found.losses]
    assert all(after <= before for before, after in pairwise(losses))
    assert math.isfinite(losses[-1]) and found.record["loss"] == pytest.approx(losses[-1])


@pytest.mark.parametrize("weights", [(0.01, 1.0), (0.1, 10.0)], ids=str)
def test_lopsided_weights_still_beat_plain_steps(weights: tuple[float, float]) -> None:
    """A fixed preconditioner with full steps diverges here."""
    given: dict[str, Any] = {"near_weight": weights[0], "far_weight": weights[1]}
    plain = run(pair(*SMALL), optimizer="gradient_descent", **given).record["loss"]
    assert run(pair(*SMALL), steps=30, **given).record["loss"] < plain


def test_starts_differ_and_steps_are_kept() -> None:
    firsts = {s: run(pair(40, 40), start=s, steps=1).losses[0]["loss"] for s in ("linear", "grey", "near", "far")}
    assert len(set(firsts.values())) == 4
    assert run(pair(40, 40), steps=7).record["steps"] == 7
    assert run(pair(40, 40), optimizer="gradient_descent", steps="auto").record["steps"] < 1000


def test_learning_rate_is_the_length_of_a_plain_step() -> None:
    slow, fast = (run(pair(40, 40), optimizer="gradient_descent", steps=5, learning_rate=r) for r in (0.01, 0.3))
    assert slow.losses[0] == fast.losses[0] and slow.record["loss"] > fast.record["loss"]


# Taken up again.


@pytest.mark.parametrize(
    "given",
    [{"steps": 9}, {"steps": 9, "optimizer": "gradient_descent"}, {"steps": "auto", "near_weight": 0.1}],
    ids=str,
)
def test_any_step_is_a_place_to_go_on_from(given: Mapping[str, Any]) -> None:
    _goes_on_from_everywhere(pair(33, 47), given)


@pytest.mark.parametrize("optimizer", ["lbfgs", "gradient_descent"])
@pytest.mark.parametrize("shape", [(100, 40), (40, 100)], ids=["tall", "wide"])
def test_so_is_any_step_of_any_strip(optimizer: str, shape: tuple[int, int], narrow: None) -> None:
    assert len(strips(100, 40, 14, 3000)) > 1
    _goes_on_from_everywhere(pair(*shape), {"steps": 3, "optimizer": optimizer, "kernel": 5, "sigma": 1})


def _goes_on_from_everywhere(inputs: dict[str, Tensor], given: Mapping[str, Any]) -> None:
    whole = run(inputs, keep=True, **given)
    assert len(whole.snapshots) == len(whole.losses) >= 3
    for index, state in enumerate(whole.snapshots):
        assert hybrids.kinds(state) <= {Tensor, int, float, bool, str, type(None)}
        rest = run(inputs, state, **given)
        assert rest.losses == whole.losses[index + 1 :]
        assert torch.equal(rest.result.picture, whole.result.picture) and rest.record == whole.record


def test_a_preview_is_the_picture_as_it_stands_and_changes_nothing() -> None:
    for optimizer in ("lbfgs", "gradient_descent"):
        inputs, shown, state = pair(33, 47), list[Tensor](), dict[str, object]()
        for progress in hybrids.started(inputs, state, optimizer=optimizer, steps=6):
            before = dict(state)
            shown.append(progress.preview())
            assert hybrids.same_state(before, state)
        unseen = run(inputs, optimizer=optimizer, steps=6).result.picture
        assert shown[-1].dtype == torch.uint8 and torch.equal(shown[-1], unseen)
        assert not torch.equal(shown[0], shown[-1])


# Strips.


@pytest.mark.parametrize("thrift", [0, 1, 2])
def test_strips_cover_the_picture_once(thrift: int) -> None:
    for height, width, halo in ((2048, 2048, 56), (1, 5_000_000, 56), (4000, 6000, 56), (700, 900, 1016)):
        cut = strips(height, width, halo, kernels.hybrid.PIXELS[thrift])
        assert [row for strip in cut for row in range(*strip.own.indices(height))] == list(range(height))
        assert all(strip.top == max(0, strip.start - halo) for strip in cut)
        assert all(strip.bottom == min(height, strip.stop + halo) for strip in cut)


@pytest.mark.parametrize("shape", [(300, 60), (60, 300)], ids=["tall", "wide"])
def test_strips_give_what_the_whole_gives(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Solved to the end, the sum of what the strips cost is the loss of the whole, and the pictures are alike.

    Not to the last bit: where the loss wants dots (docs/hybrid.md) their places hang on rounding.
    """
    given: dict[str, Any] = {"near_weight": 1.0, "steps": 60}
    whole = run(pair(*shape), **given)
    monkeypatch.setattr(kernels.hybrid, "PIXELS", (10_000,) * 3)
    assert len(strips(300, 60, 56, 10_000)) > 1
    cut = run(pair(*shape), **given)
    assert cut.record["loss"] == pytest.approx(whole.record["loss"], rel=1e-3)
    difference = (cut.result.picture.int() - whole.result.picture.int()).abs().float()
    assert difference.mean() < 0.5 and (difference > 3).float().mean() < 0.01
    losses = [loss["loss"] for loss in cut.losses]
    assert losses[-1] == pytest.approx(cut.record["loss"]) and losses[-1] < losses[0]


def test_plain_steps_in_strips_are_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(pair(120, 40), optimizer="gradient_descent", steps=20)
    monkeypatch.setattr(kernels.hybrid, "PIXELS", (2000,) * 3)
    assert len(strips(120, 40, 14, 2000)) > 1
    cut = run(pair(120, 40), optimizer="gradient_descent", steps=20)
    assert (cut.result.picture.int() - whole.result.picture.int()).abs().max() <= 1
    assert cut.record["loss"] == pytest.approx(whole.record["loss"], rel=1e-6)


def test_each_level_of_thrift_works_on_less(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = list[int]()
    kept = HybridLoss.__call__

    def watched(self: HybridLoss, x: Tensor) -> object:
        sizes.append(x.numel())
        return kept(self, x)

    monkeypatch.setattr(HybridLoss, "__call__", watched)
    largest, task = list[int](), operators()["hybrid"].task
    assert task is not None
    for thrift in range(len(task.savings) + 1):
        sizes.clear()
        state = run(pair(1100, 300), thrift=thrift, steps=5, keep=True).snapshots[-1]
        largest.append(max(sizes) * (1 + len(state["solver"]["pairs"])))
    assert largest == sorted(largest, reverse=True) and len(set(largest)) == 3


# Quality.


@pytest.mark.parametrize("names", [("astronaut", "chelsea"), ("coffee", "rocket")], ids=str)
def test_near_one_sees_near_and_far_one_sees_far(names: tuple[str, str]) -> None:
    near, far = (photograph(name, 160, 160) for name in names)
    for weight in (0.1, 0.3):
        found = run({"near": near, "far": far}, near_weight=weight)
        picture = found.result.picture
        assert found.record["near_correlation"] == near_correlation(picture, near) > 0.3
        assert near_correlation(picture, near) > near_correlation(picture, far) + 0.2
        assert found.record["far_psnr"] == far_psnr(picture, far, 2.2) > far_psnr(picture, near, 2.2) + 3


def test_from_near_to_far_it_changes_over_once() -> None:
    """From the finest band of detail to the coarsest: first it is like near, then like far."""
    inputs = pair(160, 160)
    seen = [_bands(each) for each in (run(inputs).result.picture, *inputs.values())]
    nearer = [_correlation(h, near) > _correlation(h, far) for h, near, far in zip(*seen, strict=True)]
    assert nearer[0] and not nearer[-1] and sum(a != b for a, b in pairwise(nearer)) == 1


def _bands(picture: Tensor) -> list[Floats]:
    """Differences of light between one blur and the next, from fine to coarse."""
    light = (picture.numpy() / 255) ** 2.2
    blurs = [light, *(gaussian_filter(light, (sigma, sigma, 0)) for sigma in (0.5, 1, 2, 4, 8, 16))]
    return [fine - coarse for fine, coarse in pairwise(blurs)]


def _correlation(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_near_correlation_is_that_of_scipy_and_numpy() -> None:
    one, other = photograph("astronaut", 300, 70), photograph("coffee", 300, 70)
    details = [p.numpy() - gaussian_filter(p.double().numpy(), (3, 3, 0), mode="nearest") for p in (one, other)]
    expected = np.corrcoef(details[0].ravel(), details[1].ravel())[0, 1]
    assert near_correlation(one, other) == pytest.approx(expected, abs=1e-4)
    assert near_correlation(one, one) == pytest.approx(1)
    assert near_correlation(one, 255 - one) == pytest.approx(-1)
    assert near_correlation(one, flat(300, 70, 9)) == 0


def test_seen_from_afar_is_the_mean_of_light() -> None:
    picture = photograph("coffee", 50, 43)
    light = (picture.double() / 255) ** 2.2
    seen = from_afar(picture, 8, 2.2).permute(1, 2, 0)
    assert seen.shape == (7, 6, 3)
    for row, column in ((0, 0), (3, 2), (6, 5)):
        mean = light[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].mean((0, 1)) ** (1 / 2.2)
        assert seen[row, column].tolist() == pytest.approx(mean.tolist(), abs=1e-5)


def test_far_psnr_of_flat_pictures_is_their_difference() -> None:
    assert far_psnr(flat(20, 20, 100), flat(20, 20, 151), 2.2) == pytest.approx(20 * math.log10(255 / 51), abs=1e-3)
    assert far_psnr(flat(5, 5, 7), flat(5, 5, 7), 2.2) == math.inf


def test_distances_stand_side_by_side_on_one_line() -> None:
    picture = photograph("chelsea", 64, 96)
    sheet = distances_picture(picture, 2.2)
    gap = 3
    assert sheet.shape == (64 + 2 * gap, 96 + 48 + 24 + 12 + 6 + 6 * gap, 3) and sheet.dtype == torch.uint8
    assert torch.equal(sheet[gap : gap + 64, gap : gap + 96], picture)
    half = from_afar(picture, 2, 2.2).permute(1, 2, 0)
    left = 2 * gap + 96
    assert (sheet[gap + 32 : gap + 64, left : left + 48] / 255 - half).abs().max() < 0.003
    assert (sheet[:gap] == sheet[0, 0]).all() and (sheet[-gap:] == sheet[0, 0]).all()
    assert set(run(pair(20, 20), distances=True, steps=2).result.beside) == {"distances"}
    assert not run(pair(20, 20), steps=2).result.beside


# Any pictures.


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 3), (7, 5), (13, 16)], ids=str)
@pytest.mark.parametrize("optimizer", ["lbfgs", "gradient_descent"])
def test_pictures_of_any_size(shape: tuple[int, int], optimizer: str) -> None:
    found = run(pair(*shape), optimizer=optimizer, steps=5, distances=True)
    assert found.result.picture.shape == (*shape, 3) and found.result.picture.dtype == torch.uint8
    assert all(math.isfinite(value) for value in found.record.values())


@pytest.mark.parametrize("levels", [(0, 0), (255, 255), (0, 255), (255, 0), (128, 128)], ids=str)
def test_flat_pictures(levels: tuple[int, int]) -> None:
    near, far = (flat(20, 24, level) for level in levels)
    for optimizer in ("lbfgs", "gradient_descent"):
        found = run({"near": near, "far": far}, optimizer=optimizer)
        assert found.losses and not any(math.isnan(value) for value in found.record.values())
        assert found.record["loss"] <= found.losses[0]["loss"]
    if levels == (128, 128):
        assert (run({"near": near, "far": far}).result.picture[10, 12] - 128).abs().max() <= 1


def test_grey_pictures_stay_grey() -> None:
    inputs = {role: each.float().mean(2, keepdim=True).expand(-1, -1, 3).byte() for role, each in pair(40, 50).items()}
    red, green, blue = run(inputs).result.picture.unbind(2)
    assert torch.equal(red, green) and torch.equal(green, blue)


def test_a_far_picture_of_another_size_is_cropped() -> None:
    near, far = flat(40, 60, 10), torch.zeros(200, 100, 3, dtype=torch.uint8)
    far[:66], far[66:133], far[133:] = 50, 100, 200  # of 200 rows the middle 67 are kept
    fitted = fit_far(far, near, "crop")
    assert fitted.shape == near.shape and (fitted[2:38] == 100).all()
    assert run({"near": near, "far": far}, steps=2).result.picture.shape == near.shape


def test_or_stands_whole_within_the_near_one() -> None:
    near, far = photograph("astronaut", 40, 60), flat(200, 100, 77)
    fitted = fit_far(far, near, "letterbox")
    assert (fitted[:, 20:40] == 77).all()
    assert torch.equal(fitted[:, :20], near[:, :20]) and torch.equal(fitted[:, 40:], near[:, 40:])
    picture = run({"near": near, "far": far}, fit="letterbox").result.picture
    assert (picture[:, :4].int() - near[:, :4].int()).abs().float().mean() < 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (41, 60), (39, 60), (80, 121)], ids=str)
@pytest.mark.parametrize("fit", ["crop", "letterbox"])
def test_any_two_sizes_fit(shape: tuple[int, int], fit: str) -> None:
    near = photograph("astronaut", 40, 60)
    assert fit_far(photograph("coffee", *shape), near, fit).shape == near.shape


def test_an_antialiased_far_picture_keeps_its_mean() -> None:
    stripes = flat(400, 600, 0)
    stripes[:, ::2] = 255
    assert (fit_far(stripes, flat(40, 60, 0), "crop")[4:-4, 4:-4].float() - 127.5).abs().max() < 4


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"near_weight": 0}, "near_weight: 0 is out of range"),
        ({"far_weight": -1}, "far_weight: -1 is out of range"),
        ({"kernel": 14}, "kernel: 14 is even"),
        ({"kernel": 257}, "kernel: 257 is out of range"),
        ({"steps": 0}, "steps: 0 is out of range"),
        ({"steps": "some"}, "give auto, or 1–100000 steps"),
        ({"optimizer": "adam"}, "lbfgs"),
        ({"start": "black"}, "linear"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(parameters: dict[str, object], said: str) -> None:
    with pytest.raises(ChainError) as caught:
        parse_chain({"hybrid": parameters})
    assert said in str(caught.value)
