"""The layers of a whole picture, looked at in tiles where it is large."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.features.gram import gram
from kernels.features.trunk import Trunk
from kernels.tiles import Tile, tiles

if TYPE_CHECKING:
    from torch import Tensor

HALO = 96
"""Pixels that a tile sees around its own; see docs/decisions/017-style-in-tiles.md for what is left out by that."""


class Tiled:
    """A trunk over pictures of one size, C×H×W levels with both sides multiples of its stride.

    `side` bounds the side of a tile, halo included, in pixels.
    """

    def __init__(self, trunk: Trunk, height: int, width: int, side: int) -> None:
        self.trunk = trunk
        self.tiles = tiles(height, width, side=side, halo=HALO, stride=trunk.stride)
        self.positions = {name: height * width // scale**2 for name, scale in trunk.scales.items()}
        self._height, self._width = height, width

    def look(self, canvas: Tensor, tile: Tile) -> tuple[Tensor, dict[str, Tensor]]:
        """What a tile sees of a picture, and its layers with the way back to that."""
        part = canvas[:, tile.rows.seen, tile.columns.seen].clone().requires_grad_()
        return part, self.trunk(part)

    def core(self, layers: Mapping[str, Tensor], name: str, tile: Tile) -> Tensor:
        """A layer of a tile, its own part alone."""
        scale = self.trunk.scales[name]
        return layers[name].detach()[:, tile.rows.core(scale), tile.columns.core(scale)]

    def framed(self, core: Tensor, layers: Mapping[str, Tensor], name: str, tile: Tile) -> Tensor:
        """What belongs to a tile's own part of a layer, with 0 in the halo around."""
        if core.shape == layers[name].shape:
            return core
        whole = torch.zeros_like(layers[name])
        self.core({name: whole}, name, tile).copy_(core)
        return whole

    def own(self, whole: Tensor, name: str, tile: Tile) -> Tensor:
        """A tile's own part of a whole picture's layer."""
        scale = self.trunk.scales[name]
        return whole[:, tile.rows.own(scale), tile.columns.own(scale)]

    def parts(self, canvas: Tensor) -> Iterator[tuple[Tile, dict[str, Tensor]]]:
        """Each tile's layers, without the way back."""
        for tile in self.tiles:
            with torch.no_grad():
                layers = self.trunk(canvas[:, tile.rows.seen, tile.columns.seen])
            yield tile, layers

    def grams(self, canvas: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Gram matrices of the whole picture, each divided by its number of positions."""
        return self.added(self.parts(canvas), names)

    def added(self, parts: Iterator[tuple[Tile, dict[str, Tensor]]], names: Collection[str]) -> dict[str, Tensor]:
        """The same from the layers of all tiles."""
        sums = dict[str, "Tensor"]()
        for tile, layers in parts:
            for name in names:
                found = gram(self.core(layers, name, tile)) / self.positions[name]
                sums[name] = sums[name] + found if name in sums else found
        return sums

    def gathered(self, canvas: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Layers of the whole picture, put together: N×H/scale×W/scale by name."""
        whole = dict[str, "Tensor"]()
        for tile, layers in self.parts(canvas):
            for name in names:
                scale, core = self.trunk.scales[name], self.core(layers, name, tile)
                if name not in whole:
                    place = core.new_empty(self._height // scale, self._width // scale, core.shape[0])
                    whole[name] = place.permute(2, 0, 1)  # channels last, as the layers are
                self.own(whole[name], name, tile).copy_(core)
        return whole


def trimmed(picture: Tensor, stride: int) -> Tensor:
    """C×H×W without the last rows and columns that hang over a multiple of the stride; a shorter side is padded.

    For a style picture: its rim repeated would be taken for a part of its style.
    """
    _, height, width = picture.shape
    rows, columns = (length - length % stride or length for length in (height, width))
    return padded(picture[:, :rows, :columns], stride)


def padded(picture: Tensor, stride: int) -> Tensor:
    """C×H×W with its last row and column repeated until both sides are multiples of the stride; itself if they are."""
    _, height, width = picture.shape
    if height % stride == width % stride == 0:
        return picture
    return F.pad(picture[None], (0, -width % stride, 0, -height % stride), mode="replicate")[0]
