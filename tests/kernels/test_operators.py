"""Every operator against its definition in float64."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

from kernels.binomial import BINOMIAL, binomial_blur
from kernels.chain import parse_chain
from kernels.gaussian import gaussian_taps
from kernels.picture import Picture
from kernels.separable import blur
from kernels.spec import operators
from tests.kernels import references as reference
from tests.kernels.references import Array, Bytes

TINY = [(1, 1), (1, 2), (2, 1), (3, 2), (3, 3), (1, 40), (40, 1), (17, 33), (31, 16)]


@pytest.fixture(scope="session", params=["astronaut", "coffee", "chelsea"])
def photograph(request: pytest.FixtureRequest) -> Bytes:
    """A real picture, uint8 H×W×3: 512×512, 400×600 and 300×451. They ship in scikit-image's wheel."""
    picture: Bytes = getattr(skimage.data, request.param)()
    return picture


def run(steps: object, *pictures: Bytes) -> Picture:
    """The batch after the steps, as the daemon would have it computed."""
    picture = Picture(torch.from_numpy(np.stack(pictures)))
    for step in parse_chain(steps):
        picture = operators()[step.name].function(picture, **dict(step.parameters))
    return picture


def levels(picture: Picture) -> Array:
    """The first picture as float64 H×W×3."""
    result: Array = picture.levels()[0].permute(1, 2, 0).double().numpy()
    return result


def noise(height: int, width: int) -> Bytes:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


MOSAICS = [
    {"block": block, "border": border, "method": method}
    for block in (1, 8, 16)
    for border in ("reflect", "zero")
    for method in ("sample", "average")
]


@pytest.mark.parametrize("parameters", MOSAICS, ids=str)
def test_mosaic_is_its_definition(photograph: Bytes, parameters: dict[str, Any]) -> None:
    given = run({"mosaic": parameters}, photograph)
    expected = reference.mosaic(photograph.astype(np.float64), **parameters)
    assert np.abs(levels(given) - expected).max() < 1e-4
    difference = np.abs(given.bytes()[0].numpy().astype(int) - reference.to_bytes(expected))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


@pytest.mark.parametrize("method", ["sample", "average"])
@pytest.mark.parametrize("border", ["reflect", "zero"])
@pytest.mark.parametrize("size", TINY, ids=str)
def test_mosaic_of_few_or_partial_cells(size: tuple[int, int], border: str, method: str) -> None:
    picture = noise(*size)
    for block in (1, 5, 16, 64):
        expected = reference.mosaic(picture.astype(np.float64), block, border, method)
        given = run({"mosaic": {"block": block, "border": border, "method": method}}, picture)
        assert np.abs(levels(given) - expected).max() < 1e-4


def test_a_sampled_mosaic_of_bytes_is_exact(photograph: Bytes) -> None:
    # Even where the definition in float64 leaves it to the last bit whether a value is rounded up or down.
    expected = reference.to_bytes(reference.mosaic(photograph.astype(np.float64)))
    assert (run("mosaic", photograph).bytes()[0].numpy() == expected).all()


def test_mosaic_agrees_with_three_other_programs(photograph: Bytes) -> None:
    """SciPy, PyTorch and OpenCV, in float64 on the scale 0..1: every value, ties included."""
    height, width, _ = photograph.shape
    small = photograph[reference.centre_rows(height, 16)][:, reference.centre_rows(width, 16)] / 255
    kernel = np.outer(BINOMIAL, BINOMIAL) / 256
    padded = F.pad(torch.from_numpy(small).permute(2, 0, 1)[None], (2, 2, 2, 2), mode="reflect")
    convolved = F.conv2d(padded, torch.from_numpy(kernel).expand(3, 1, 5, 5), groups=3)[0].permute(1, 2, 0).numpy()
    given = run("mosaic", photograph).bytes()[0].numpy()
    for blurred in (
        np.stack([ndimage.correlate(small[..., c], kernel, mode="mirror") for c in range(3)], -1),
        convolved,
        cv2.filter2D(small, -1, kernel, borderType=cv2.BORDER_REFLECT_101),
    ):
        expected = reference.to_bytes(reference.enlarge(255 * np.asarray(blurred, np.float64), 16, height, width))
        assert (given == expected).all()


def test_zero_border_is_the_seed(photograph: Bytes) -> None:
    """Nearest down, a 5×5 convolution with SAME zero padding, nearest up: before rounding within 1e-6 of full scale."""
    cropped = photograph[: photograph.shape[0] // 16 * 16, : photograph.shape[1] // 16 * 16]
    small = torch.from_numpy(cropped[8::16, 8::16].copy()).permute(2, 0, 1).double() / 255
    taps = torch.tensor(BINOMIAL).double() / 16
    kernel = torch.outer(taps, taps).expand(3, 1, 5, 5)
    blurred = F.conv2d(small[None], kernel, padding="same", groups=3)
    expected = blurred.repeat_interleave(16, 2).repeat_interleave(16, 3)[0].permute(1, 2, 0).numpy()
    given = levels(run({"mosaic": {"block": 16, "border": "zero"}}, cropped)) / 255
    assert np.abs(given - expected).max() < 1e-6


def test_reflection_does_not_darken_the_rim() -> None:
    white = np.full((70, 90, 3), 255, np.uint8)
    assert (run("mosaic", white).bytes().numpy() == 255).all()
    assert run({"mosaic": {"border": "zero"}}, white).bytes()[0, 0, 0, 0] < 130


def test_depthwise_is_each_channel_by_itself(photograph: Bytes) -> None:
    """Seed 000: classical filtering is depthwise convolution."""
    picture = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
    taps = torch.tensor(BINOMIAL) / 16
    kernel = torch.outer(taps, taps)[None, None]
    each = torch.cat([F.conv2d(picture[:, c : c + 1], kernel, padding=2) for c in range(3)], 1)
    for depthwise in (blur(Picture(picture), taps.tolist(), "zero"), binomial_blur(picture, "zero")):
        assert (depthwise - each).abs().max() < 1e-6
    assert (depthwise - picture).abs().mean() > 1e-3


@pytest.mark.parametrize("scale", [1, 2, 7, 8, 32, 1024])
def test_pool_upsample_is_its_definition(photograph: Bytes, scale: int) -> None:
    expected = reference.pool_upsample(photograph.astype(np.float64), scale)
    given = run({"pool_upsample": {"scale": scale}}, photograph)
    assert np.abs(levels(given) - expected).max() < 1e-3
    assert (given.bytes()[0].numpy() == reference.to_bytes(expected)).mean() >= 0.999


@pytest.mark.parametrize("size", TINY, ids=str)
def test_pool_upsample_of_partial_cells(size: tuple[int, int]) -> None:
    picture = noise(*size)
    for scale in (2, 16):
        expected = reference.pool_upsample(picture.astype(np.float64), scale)
        assert np.abs(levels(run({"pool_upsample": {"scale": scale}}, picture)) - expected).max() < 1e-4


def test_grayscale_is_its_definition(photograph: Bytes) -> None:
    expected = reference.grayscale(photograph.astype(np.float64))
    given = run("grayscale", photograph)
    assert np.abs(levels(given) - expected).max() < 1e-4
    exact = (photograph.astype(int) @ [299, 587, 114]) / 1000
    assert (given.bytes()[0].numpy() == np.rint(exact)[..., None]).all()


BLURS = [
    {"sigma": 0.1},
    {"sigma": 3},
    {"sigma": 3, "border": "zero"},
    {"sigma": 3, "border": "replicate"},
    {"sigma": 2, "kernel": 11},
    {"sigma": 2, "kernel": 1},
    {"sigma": 17, "kernel": 301},
    {"sigma": 3, "linear_light": True},
]


@pytest.mark.parametrize("parameters", BLURS, ids=str)
def test_gaussian_blur_is_its_definition(photograph: Bytes, parameters: dict[str, Any]) -> None:
    expected = reference.gaussian_blur(photograph.astype(np.float64), **parameters)
    given = run({"gaussian_blur": parameters}, photograph)
    assert np.abs(levels(given) - expected).max() < 2e-3
    difference = np.abs(given.bytes()[0].numpy().astype(int) - reference.to_bytes(expected))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


@pytest.mark.parametrize("border", ["reflect", "zero", "replicate"])
@pytest.mark.parametrize("size", TINY, ids=str)
def test_gaussian_blur_of_small_pictures(size: tuple[int, int], border: str) -> None:
    picture = noise(*size)
    for sigma in (0.5, 4):
        expected = reference.gaussian_blur(picture.astype(np.float64), sigma, border=border)
        given = run({"gaussian_blur": {"sigma": sigma, "border": border}}, picture)
        assert np.abs(levels(given) - expected).max() < 1e-3


def test_gaussian_taps_are_the_ones_the_seed_prints() -> None:
    printed = [0.00881223, 0.02714358, 0.06511406, 0.12164907, 0.17699836, 0.20056541]
    assert gaussian_taps(2, 11) == pytest.approx(printed + printed[-2::-1], abs=5e-9)


@pytest.mark.parametrize("size", [(256, 256), (640, 100), (3, 700), (1, 1), (512, 512)], ids=str)
def test_resize_is_pillow(photograph: Bytes, size: tuple[int, int]) -> None:
    width, height = size
    given = levels(run({"resize": {"width": width, "height": height}}, photograph))
    assert np.abs(given - pillow(photograph, width, height)).max() < 1e-2


@pytest.mark.parametrize("size", TINY, ids=str)
def test_resize_of_small_pictures(size: tuple[int, int]) -> None:
    picture = noise(*size)
    for side in (1, 2, 5, 50):
        given = levels(run({"resize": {"size": side}}, picture))
        assert np.abs(given - pillow(picture, side, side)).max() < 1e-2


def pillow(picture: Bytes, width: int, height: int) -> Array:
    """Pillow's own Lanczos in float32, channel by channel."""
    channels = [Image.fromarray(picture[..., c].astype(np.float32), mode="F") for c in range(3)]
    return np.stack([np.asarray(c.resize((width, height), Image.Resampling.LANCZOS)) for c in channels], 2).astype(
        float
    )


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({"width": 300}, (150, 300)),
        ({"height": 300}, (300, 600)),
        ({"width": 1}, (1, 1)),
        ({"height": 5000}, None),
        ({"size": 64}, (64, 64)),
        ({"width": 10, "height": 20}, (20, 10)),
    ],
    ids=str,
)
def test_one_side_alone_keeps_the_aspect_ratio(given: dict[str, Any], shape: tuple[int, int] | None) -> None:
    picture = noise(101, 202) if shape else noise(1000, 1)
    result = run({"resize": given}, picture)
    assert (result.height, result.width) == (shape or (5000, 5))


def test_nothing_is_rounded_between_steps(photograph: Bytes) -> None:
    steps = ["grayscale", {"gaussian_blur": {"sigma": 3}}, {"mosaic": {"block": 8}}]
    whole = reference.mosaic(reference.gaussian_blur(reference.grayscale(photograph.astype(np.float64)), 3), 8)
    assert np.abs(levels(run(steps, photograph)) - whole).max() < 2e-3


@pytest.mark.parametrize(
    "steps", ["mosaic", {"gaussian_blur": {"sigma": 3}}, "pool_upsample", {"resize": {"size": 99}}]
)
def test_a_picture_does_not_depend_on_its_batch(steps: object) -> None:
    first, second = noise(70, 91), noise(71, 91)[:70]
    together = run(steps, first, second, first).bytes()
    assert (together[0] == together[2]).all()
    assert (together[0].int() - run(steps, first).bytes()[0].int()).abs().max() <= 1
    assert (together[1].int() - run(steps, second).bytes()[0].int()).abs().max() <= 1


def test_half_levels_go_to_the_even_one() -> None:
    halves = torch.tensor([0.5, 1.5, 2.5, -3.0, 254.5, 300.0]).reshape(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert Picture(halves).bytes()[0, 0, :, 0].tolist() == [0, 2, 2, 0, 254, 255]
