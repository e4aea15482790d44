"""How much of the style has come over and how much of the content is left, in numbers that mean the same everywhere.

Style distance: ‖G(x) − G(s)‖² / ‖G(c) − G(s)‖²: 1 is where the photograph begins, 0 is the style picture. Content
distance: ‖F(x) − F(c)‖² / ‖F(s) − F(c)‖²: 0 is the photograph, 1 as far from it as the style picture. Over several
layers both are sums, each layer in units of its target's own size: one in which the pictures hardly differ would
otherwise decide alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import torch
from kernels.features.gram import gram
from kernels.features.kinds import KINDS, Kind
from kernels.features.networks import load
from kernels.features.tiled import padded
from kernels.features.trunk import Trunk
from kernels.style_grams import remembered_grams
from kernels.style_loss import NOTHING
from kernels.style_pictures import Pictures, levels_at, style_shape

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 256
"""Pixels of the longer side at which it is measured, so that it costs about a second."""
NEAR = 1e-6
"""A start that is nearer to the aim than this share of it is there already."""

Layers: TypeAlias = "Mapping[str, Tensor]"


def distances(network: str, result: Tensor, pictures: Pictures) -> tuple[float, float]:
    """Style and content distance of a result, uint8 H×W×3, by a network.

    The style picture is seen at the scale it had when the result was made, but with no more pixels than the result is;
    and for the content distance stretched to the content's shape.
    """
    kind, size = KINDS[network], _within(result)
    trunk = load(network, [*kind.content, *kind.style], result.device)
    seen = (result, pictures.content, pictures.style)
    made, photo, stretched = (_seen(trunk, kind, picture, size) for picture in seen)
    own = style_shape(pictures.style, min(1.0, pictures.style_scale), *size)
    aim = remembered_grams(trunk, levels_at(pictures.style, *own), tuple(kind.style))
    return _ratio(kind.style, made[0], aim, photo[0]), _ratio(kind.content, made[1], photo[1], stretched[1])


def _seen(trunk: Trunk, kind: Kind, picture: Tensor, size: tuple[int, int]) -> tuple[Layers, Layers]:
    """A picture at a size: the Gram matrices of the style's layers, each by position, and the content's layers."""
    with torch.no_grad():
        layers = trunk(padded(levels_at(picture, *size), trunk.stride))
    return (
        {name: gram(layers[name]) / layers[name][0].numel() for name in kind.style},
        {name: layers[name] for name in kind.content},
    )


def _ratio(
    names: Collection[str], found: Mapping[str, Tensor], aim: Mapping[str, Tensor], start: Mapping[str, Tensor]
) -> float:
    """How far `found` is from the aim, as a share of how far `start` is; 0 where even that is there."""
    far = sum(_apart(start[name], aim[name]) for name in names)
    return sum(_apart(found[name], aim[name]) for name in names) / far if far > NEAR else 0.0


def _apart(one: Tensor, aim: Tensor) -> float:
    return float((one - aim).double().square().sum() / aim.double().square().sum().clamp(min=NOTHING))


def _within(picture: Tensor) -> tuple[int, int]:
    height, width, _ = picture.shape
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
