"""The network computes what the authors' does, and its random numbers are its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kernels import prior_network
from kernels.prior_network import Network, Shape
from kernels.prior_presets import HOURGLASS, INPAINTING, PAPER
from tests.prior.references import plain

SMALL = Shape(noise=5, down=(6, 7, 8), up=(7, 6, 9), skip=(4, 0, 3))
SHAPES = {
    "bilinear": SMALL,
    "nearest": replace(SMALL, enlarging="nearest"),
    "wide kernels": replace(SMALL, kernel=5),
    "without 1×1": replace(SMALL, pointwise=False, skip=(0, 0, 0)),
    "authors'": PAPER["jpeg"].shape,
    "large hole": INPAINTING["hole"].shape,
}


@pytest.mark.parametrize("name", SHAPES)
def test_it_computes_what_is_written_down_plainly(name: str) -> None:
    """The picture, and the gradient of every weight, in float64; one side is the least that is possible."""
    shape, generator = SHAPES[name], torch.Generator().manual_seed(1)
    network = Network(shape, 3)
    vector = network.initial(generator).double()
    vector += 0.1 * torch.randn(
        vector.shape, generator=generator, dtype=vector.dtype
    )  # scales and shifts that are not 1 and 0
    noise = torch.rand(1, shape.noise, shape.least, shape.least + shape.stride, generator=generator).double()
    ours, theirs = network.named(vector), network.named(vector)
    picture, expected = network(ours, noise), plain(shape, theirs, noise)
    assert picture.shape == (1, 3, *noise.shape[2:]) and picture.dtype == torch.float32
    assert torch.allclose(picture, expected.float(), atol=1e-6)
    target = torch.rand(picture.shape, generator=generator)
    gradients = [
        torch.autograd.grad((each - target).square().mean(), list(weights.values()))
        for each, weights in ((picture, ours), (expected, theirs))
    ]
    for key, mine, other in zip(ours, *gradients, strict=True):
        assert torch.allclose(mine, other, atol=1e-5 * float(other.abs().max()) + 1e-9), key


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_in_whatever_order_it_is_the_same(order: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 as in float64: which order is faster is the processor's matter."""
    monkeypatch.setattr(prior_network, "_order", lambda dtype, device: order)
    monkeypatch.setattr(prior_network, "filters", prior_network.filters.__wrapped__)  # nothing is remembered
    shape, generator = SHAPES["authors'"], torch.Generator().manual_seed(2)
    network = Network(shape, 3)
    vector = network.initial(generator)
    noise = torch.rand(1, shape.noise, shape.least, shape.least + shape.stride, generator=generator)
    picture = network(network.named(vector), noise)
    exact = plain(shape, network.named(vector.double()), noise.double())
    assert torch.allclose(picture, exact.float(), atol=1e-4)


def test_it_has_the_weights_of_the_authors() -> None:
    """2,217,831 (counted in their notebook), but for the biases before a normalisation, which do nothing."""
    biases = 5 * (128 + 128 + 4 + 128 + 128)
    assert Network(HOURGLASS, 3).weights == 2_217_831 - biases


def test_weights_to_begin_with() -> None:
    network = Network(SMALL, 3)
    one, same, other = (network.initial(torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other) and len(one) == network.weights
    named = network.named(one)
    assert all(bool((each == 1).all()) for name, each in named.items() if name.endswith(".scale"))
    bound = (9 * (6 + 4)) ** -0.5  # both convolutions of a level on its way up are one
    for name in ("0.up", "0.up_skip"):
        assert 0.9 * bound < float(named[name].detach().abs().max()) <= bound


def test_bfloat16_is_nearly_the_same() -> None:
    network = Network(HOURGLASS, 3)
    weights = network.named(network.initial(torch.Generator().manual_seed(0)))
    noise = 0.1 * torch.rand(1, 32, 64, 96)
    exact, near = (network(weights, noise.to(kind)) for kind in (torch.float32, torch.bfloat16))
    assert near.dtype == torch.float32 and float((exact - near).detach().abs().mean()) < 0.02
