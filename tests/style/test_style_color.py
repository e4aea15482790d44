"""Colours moved from one picture to another: exactly, but never so far that noise becomes a pattern."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.style_color import GAIN, matched_colors, matched_luminance
from tests.kernels.hybrids import photograph


def levels(name: str) -> Tensor:
    return photograph(name, 96, 128).permute(2, 0, 1).float()


def moments(picture: Tensor) -> tuple[Tensor, Tensor]:
    flat = picture.flatten(1).double()
    return flat.mean(1), torch.cov(flat, correction=0)


def test_matched_colors_have_the_mean_and_the_covariance() -> None:
    style, content = levels("coffee"), levels("astronaut")
    mean, covariance = moments(matched_colors(style, content))
    aim_mean, aim_covariance = moments(content)
    assert torch.allclose(mean, aim_mean, atol=0.01)
    assert torch.allclose(covariance, aim_covariance, rtol=0.01, atol=1)


def test_a_sky_keeps_its_noise_small() -> None:
    """A photograph of nearly one colour, towards the colours of another."""
    generator = torch.Generator().manual_seed(0)
    sky = torch.tensor([120.0, 160.0, 220.0])[:, None, None] + 2 * torch.randn(3, 64, 64, generator=generator)
    aim = levels("astronaut")
    for matched, spread in (
        (matched_colors(sky, aim), sky.std((1, 2)).max()),
        (matched_luminance(sky[:1], aim[:1]), sky[:1].std()),
    ):
        assert matched.std((1, 2)).max() <= 1.05 * GAIN * spread
        assert torch.allclose(matched.mean((1, 2)), aim[: len(matched)].mean((1, 2)), atol=0.1)
