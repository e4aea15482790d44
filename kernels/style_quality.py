"""How much of the style has come over and how much of the content is left, in numbers that mean the same everywhere.

Style distance: ‖G(x) − G(s)‖² / ‖G(c) − G(s)‖²: 1 is where the photograph begins, 0 is the style picture. Content
distance: ‖F(x) − F(c)‖² / ‖F(s) − F(c)‖²: 0 is the photograph, 1 as far from it as the style picture. Over several
layers both are sums, each layer in units of its target's own size: one in which the pictures hardly differ would
otherwise decide alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.features import load
from kernels.features.kinds import KINDS
from kernels.features.tiled import gram, padded

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 256
"""Pixels of the longer side at which it is measured, so that it costs about a second."""

NOTHING = 1e-12
"""A sum of squares below this is a layer's that answers nothing anywhere."""


def distances(network: str, result: Tensor, content: Tensor, style: Tensor) -> tuple[float, float]:
    """Style and content distance of uint8 H×W×3 pictures, the result and the content of one size, by a network.

    The style picture is seen with as many pixels as the content, and for the content distance stretched to its shape.
    """
    kind, (height, width) = KINDS[network], _within(content)
    scale = (height * width / (style.shape[0] * style.shape[1])) ** 0.5
    own = max(1, round(style.shape[0] * scale)), max(1, round(style.shape[1] * scale))
    trunk = load(network, [*kind.content, *kind.style], result.device)
    with torch.no_grad():
        made, photo, stretched, painted = (
            trunk(padded(_at(picture, *size), trunk.stride))
            for picture, size in (
                (result, (height, width)),
                (content, (height, width)),
                (style, (height, width)),
                (style, own),
            )
        )
    grams = [
        {name: gram(layers[name]) / layers[name][0].numel() for name in kind.style} for layers in (made, painted, photo)
    ]
    return _ratio(kind.style, *grams), _ratio(kind.content, made, photo, stretched)


def _ratio(
    names: Collection[str], found: Mapping[str, Tensor], aim: Mapping[str, Tensor], start: Mapping[str, Tensor]
) -> float:
    """How far `found` is from the aim, as a share of how far `start` is; 0 where even that is there."""
    far = sum(_apart(start[name], aim[name]) for name in names)
    return sum(_apart(found[name], aim[name]) for name in names) / far if far else 0.0


def _apart(one: Tensor, aim: Tensor) -> float:
    return float((one - aim).double().square().sum() / aim.double().square().sum().clamp(min=NOTHING))


def _within(picture: Tensor) -> tuple[int, int]:
    height, width, _ = picture.shape
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _at(picture: Tensor, height: int, width: int) -> Tensor:
    """uint8 h×w×3 at another size: float32 3×height×width levels."""
    levels = picture.permute(2, 0, 1).float()[None]
    return F.interpolate(levels, (height, width), mode="bilinear", antialias=True, align_corners=False)[0]
