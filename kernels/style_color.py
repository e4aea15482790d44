"""Keeping the colours of a photograph (Gatys, Bethge, Hertzmann, Shechtman 2016): two ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kernels.backend import torch

if TYPE_CHECKING:
    from torch import Tensor

COLORS = ("style", "luminance", "match")
LUMA = (0.299, 0.587, 0.114)
GAIN = 3.0  # times that differences may grow
SPREAD = 1.0  # levels² that are added to each variance: a picture of one colour has none


def luminance(levels: Tensor) -> Tensor:
    """3×H×W levels → 1×H×W, 0.299 R + 0.587 G + 0.114 B."""
    weights = torch.tensor(LUMA, device=levels.device)
    return torch.einsum("chw,c->hw", levels, weights)[None]


def matched_luminance(style: Tensor, content: Tensor) -> Tensor:
    """1×h×w `style` with the mean and the standard deviation of `content`, of any size; spread GAIN times at most."""
    factor = torch.sqrt((content.var(correction=0) + SPREAD) / (style.var(correction=0) + SPREAD)).clamp(max=GAIN)
    return (style - style.mean()) * factor + content.mean()


def with_luminance(content: Tensor, luma: Tensor) -> Tensor:
    """uint8 H×W×3 `content` with the luminance `luma`, 1×H×W levels; its chroma is untouched.

    Every pixel's three levels move by one whole number, so the differences between them, which are the chroma, stay as
    they are, to the last bit. Where that would leave 0..255 the pixel moves as far as it can.
    """
    levels = content.permute(2, 0, 1)
    shift = (luma - luminance(levels.float())).round()[0].int()
    darkest, brightest = levels.amin(0).int(), levels.amax(0).int()
    shift = torch.maximum(torch.minimum(shift, 255 - brightest), -darkest)
    return (levels.int() + shift).to(torch.uint8).permute(1, 2, 0).contiguous()


def matched_colors(style: Tensor, content: Tensor) -> Tensor:
    """3×h×w `style` with the mean and the covariance of the colours of `content`, 3×H×W levels.

    Many linear maps do that; this is the one that moves colours least (Monge's), Σc^½ (Σc^½ Σs Σc^½)^−½ Σc^½. None is
    spread more than GAIN times, lest the noise of a sky become its colours. Levels may leave 0..255.
    """
    mean_style, spread_style = _moments(style)
    mean_content, spread_content = _moments(content)
    root = _power(spread_content, 0.5)
    transform = _function(root @ _power(root @ spread_style @ root, -0.5) @ root, lambda gain: gain.clamp(max=GAIN))
    flat = style.flatten(1) - mean_style.float()
    return (transform.float() @ flat + mean_content.float()).view(style.shape)


def _moments(levels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3×1) and covariance (3×3) of the colours, float64."""
    flat = levels.flatten(1)
    mean = flat.double().mean(1, keepdim=True)
    centred = flat - mean.float()
    spread = (centred @ centred.T).double() / flat.shape[1]
    return mean, spread + SPREAD * torch.eye(3, dtype=torch.float64, device=levels.device)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric positive matrix."""
    return _function(matrix, lambda values: values**exponent)


def _function(matrix: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of a symmetric matrix: of its eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    found: Tensor = (vectors * function(values)) @ vectors.T
    return found
