"""PSNR of what a chain makes, against scikit-image on the bytes that would be written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from export.graph import INPUT, OUTPUT, output_names
from export.parity import open_session
from kernels.chain import Chain, parse_chain
from kernels.measuring import decibels, finding, makes_pictures, series_of
from kernels.spec import Series
from tests.kernels import references as reference
from tests.kernels.references import Bytes
from tests.kernels.studied import computed, findings, measured, noise, photographs

BLUR = {"gaussian_blur": {"sigma": 3}}
STEPS: list[object] = ["psnr", "mosaic", "psnr", BLUR, "psnr"]


@pytest.fixture(scope="module")
def pictures() -> Bytes:
    return photographs()[::4]


@pytest.fixture(scope="module")
def chain() -> Chain:
    return parse_chain(STEPS)


@pytest.fixture(scope="module")
def outputs(chain: Chain, pictures: Bytes, exported: Callable[[object], Path]) -> Mapping[str, Any]:
    """What the exported graph gives for the photographs, in one batch."""
    names = output_names(chain)
    return dict(zip(names, open_session(exported(STEPS)).run(names, {INPUT: pictures}), strict=True))


def test_each_is_that_of_the_bytes_written_at_its_place(
    chain: Chain, pictures: Bytes, outputs: Mapping[str, Any]
) -> None:
    assert len(pictures) == 5
    for picture, written, found in zip(pictures, outputs[OUTPUT], findings(chain, outputs), strict=True):
        first, second, third = map(decibels, found.mse)
        mosaic = reference.to_bytes(reference.mosaic(picture.astype(np.float64)))
        assert first == math.inf
        assert second == pytest.approx(peak_signal_noise_ratio(picture, mosaic), abs=1e-5)
        assert third == pytest.approx(peak_signal_noise_ratio(picture, written), abs=1e-5)
        assert second != pytest.approx(third, abs=0.01)


def test_each_is_named_after_the_steps_before_it(chain: Chain) -> None:
    assert series_of(chain) == (Series("true"), Series("mosaic"), Series("mosaic | gaussian_blur"))


def test_measuring_does_not_change_the_picture(pictures: Bytes, outputs: Mapping[str, Any]) -> None:
    """Above all it is not rounded where it is measured: the bytes are compared, the levels go on."""
    plain = computed(parse_chain(["mosaic", BLUR]), pictures)[OUTPUT]
    difference = np.abs(plain.astype(int) - outputs[OUTPUT])
    assert difference.max() <= 1 and (difference == 0).mean() > 0.9999


def test_a_chain_that_only_measures_gives_no_picture(pictures: Bytes) -> None:
    chain = parse_chain("psnr")
    assert not makes_pictures(chain) and output_names(chain) == ["measured_0"]
    (found,) = findings(chain, computed(chain, pictures[:1]))
    assert found.mse == (0.0,) and found.unwanted is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (17, 33)], ids=str)
def test_pictures_of_any_size(shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    (given,) = measured([{"mosaic": {"block": 5}}, "psnr"], picture)
    mosaic = reference.to_bytes(reference.mosaic(picture.astype(np.float64), 5))
    identical = (mosaic == picture).all()
    expected = math.inf if identical else peak_signal_noise_ratio(picture, mosaic)
    assert given == {("mosaic", None): pytest.approx(expected, abs=1e-5)}


def test_one_level_of_one_value_in_a_large_picture_is_seen() -> None:
    """Not identical, however little it is: 118 dB."""
    chain = parse_chain(["grayscale", "psnr"])
    picture = np.full((1500, 2000, 3), 100, np.uint8)
    picture[700, 900, 2] = 101  # its luma is 100.114
    outputs = computed(chain, picture[None])
    assert (outputs[OUTPUT] == 100).all()
    (found,) = findings(chain, outputs)
    assert found.mse == pytest.approx((1 / 65025 / picture.size,), rel=1e-6)


def test_large_pictures_are_added_up_without_losing_small_errors() -> None:
    """Nine million squares: added up one by one in float32, the last would count in steps of 4096."""
    chain = parse_chain(["grayscale", "psnr"])
    picture = noise(1500, 2000)
    (found,) = findings(chain, computed(chain, picture[None]))
    luma = np.rint(picture.astype(int) @ [299, 587, 114] / 1000)
    wanted = np.mean((picture - luma[..., None]) ** 2) / 65025
    assert found.mse == pytest.approx((wanted,), rel=1e-6)


def test_decibels() -> None:
    assert decibels(0.0) == math.inf
    assert decibels(1.0) == 0.0
    assert decibels(1e-3) == pytest.approx(30)
    assert finding(parse_chain("psnr"), {"measured_0": [0.25]}).mse == (0.25,)
