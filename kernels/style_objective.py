"""What style transfer minimises over one size of the picture, with its gradient, tile by tile where it is large.

The Gram matrices are those of the whole picture: tiles add up to them in a first pass, and in a second each goes there
and back with the whole picture's matrices. So nothing is equalised per tile, and no seam can show but for what the halo
leaves out. The function is the same at each call, which the line search of L-BFGS needs.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.features.kinds import Weighting
from kernels.features.tiled import Tiled, padded
from kernels.features.trunk import Trunk
from kernels.lbfgs import Point
from kernels.style_loss import NOTHING, content_gradient, content_loss, style_gradient, style_loss, variation
from kernels.tiles import Tile

if TYPE_CHECKING:
    from torch import Tensor

EVEN = 1000
"""The strength at which, in the convention `relative`, content and style count alike."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The loss: content + strength·style + total_variation·variation, over weighted layers, in a convention.

    `paper` is the paper's, over features as they are. `seed` divides each content term by √(N·M), as the program of
    the article this step comes from does. `relative` divides every term by what its target alone would be worth, so
    that the numbers mean the same for each network, picture and size; at a strength of 1000 the two count alike.
    """

    strength: float
    content: Weighting
    style: Weighting
    total_variation: float
    convention: str

    @property
    def layers(self) -> frozenset[str]:
        """All that are looked at."""
        return frozenset(self.content) | frozenset(self.style)

    @property
    def style_share(self) -> float:
        """What part of the whole style is, 0..1, where the convention makes the two terms comparable; otherwise 1."""
        return self.strength / (self.strength + EVEN) if self.convention == "relative" else 1.0

    def content_factor(self, name: str, target: Tensor) -> float:
        """What a layer's content term is multiplied by, for these target features."""
        factor = {
            "relative": lambda: 1 / max(NOTHING, float(content_loss(target, torch.zeros_like(target)))),
            "paper": lambda: 1.0,
            "seed": lambda: float(target.numel() ** -0.5),
        }[self.convention]()
        return self.content[name] * factor

    def style_factor(self, name: str, target: Tensor) -> float:
        """What a layer's style term is multiplied by, for this target Gram matrix."""
        if self.convention != "relative":
            return self.style[name]
        return self.style[name] / EVEN / max(NOTHING, float(style_loss(torch.zeros_like(target), target)))


class Objective:
    """The loss as a function of C×H×W levels, 3 or 1 (grey) of them. `content` is the picture to be like, as levels.

    `grams` are those of the style picture by layer, each divided by its number of positions. `side` bounds the tiles.
    """

    def __init__(self, trunk: Trunk, recipe: Recipe, content: Tensor, grams: Mapping[str, Tensor], side: int) -> None:
        self._recipe, self._grams = recipe, grams
        self._stride = trunk.stride
        canvas = padded(content, self._stride)
        _, height, width = canvas.shape
        self._tiled = Tiled(trunk, height, width, side)
        self._features = self._tiled.gathered(canvas, recipe.content)
        self._content = {name: recipe.content_factor(name, self._features[name]) for name in recipe.content}
        self._style = {name: recipe.style_factor(name, grams[name]) for name in recipe.style}

    def __call__(self, x: Tensor) -> Point:
        """The loss at x, its gradient, and its terms: content and style, each without its weight in the sum."""
        inner = x.detach().requires_grad_()
        canvas = padded(inner, self._stride)
        content, style, outer = self._terms(canvas.detach())
        (gradient,) = torch.autograd.grad(canvas, inner, outer)
        loss, weight = content + self._recipe.strength * style, self._recipe.total_variation
        if weight:
            rough, slope = variation(x)
            loss, gradient = loss + weight * float(rough), gradient.add(slope, alpha=weight)
        return Point(x, loss, gradient, [content, style])

    def _terms(self, canvas: Tensor) -> tuple[float, float, Tensor]:
        """Content, style, and the gradient of their weighted sum."""
        tiled, (first, *more) = self._tiled, self._tiled.tiles
        alone = None if more else tiled.look(canvas, first)  # seen whole, it need not be looked at twice
        parts = tiled.parts(canvas) if alone is None else iter([(first, alone[1])])
        grams = tiled.added(parts, self._style)
        content, gradient = 0.0, torch.zeros_like(canvas)
        for tile in tiled.tiles:
            content += self._back(alone or tiled.look(canvas, tile), tile, grams, gradient)
        style = sum(factor * float(style_loss(grams[name], self._grams[name])) for name, factor in self._style.items())
        return content, style, gradient

    def _back(
        self, look: tuple[Tensor, dict[str, Tensor]], tile: Tile, grams: Mapping[str, Tensor], gradient: Tensor
    ) -> float:
        """The content term of one tile; its part of the gradient is added to that of the whole."""
        part, layers = look
        slopes = [self._slope(layers, name, tile, grams) for name in layers]
        (found,) = torch.autograd.grad(list(layers.values()), part, slopes)
        gradient[:, tile.rows.seen, tile.columns.seen] += found
        return self._content_term(layers, tile)

    def _content_term(self, layers: Mapping[str, Tensor], tile: Tile) -> float:
        return sum(
            factor * float(content_loss(self._tiled.core(layers, name, tile), self._target(name, tile)))
            for name, factor in self._content.items()
        )

    def _target(self, name: str, tile: Tile) -> Tensor:
        return self._tiled.own(self._features[name], name, tile)

    def _slope(self, layers: Mapping[str, Tensor], name: str, tile: Tile, grams: Mapping[str, Tensor]) -> Tensor:
        """The gradient of the loss at a layer of a tile; 0 in its halo, which other tiles own."""
        core, parts = self._tiled.core(layers, name, tile), list["Tensor"]()
        if name in self._style:
            weight, positions = self._recipe.strength * self._style[name], self._tiled.positions[name]
            parts.append(style_gradient(core, grams[name], self._grams[name], positions, weight))
        if name in self._content:
            parts.append(content_gradient(core, self._target(name, tile)).mul_(self._content[name]))
        return self._tiled.framed(functools.reduce(operator.iadd, parts), layers, name, tile)
