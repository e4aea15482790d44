"""The Gram matrices of style pictures, remembered: a folder of photographs of one size looks at its style once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from kernels.features.tiled import Tiled, trimmed
from kernels.features.trunk import Trunk

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 32
"""Style pictures at one size whose matrices are remembered: 0.1 MB each by default, 2 through VGG-19."""
SIDE = 512
"""Pixels of the side of a style picture's tiles at least: forward only, they take a fraction of the memory."""

_grams: OrderedDict[str, dict[str, Tensor]] = OrderedDict()


def remembered_grams(trunk: Trunk, style: Tensor, names: tuple[str, ...], side: int = SIDE) -> dict[str, Tensor]:
    """The Gram matrices of a style picture, C×h×w levels, by layer, each divided by its number of positions.

    From memory if they were made lately, by another job perhaps. `side` bounds the tiles that are looked at.
    """
    side = max(side, SIDE)
    digest = hashlib.sha256(f"{trunk.identity} {names} {side} {tuple(style.shape)} {style.device}".encode())
    digest.update(style.cpu().contiguous().numpy().data)
    key = digest.hexdigest()
    if key not in _grams:
        canvas = trimmed(style, trunk.stride)
        _, height, width = canvas.shape
        _grams[key] = Tiled(trunk, height, width, side).grams(canvas, names)
        while len(_grams) > KEPT:
            _grams.popitem(last=False)
    _grams.move_to_end(key)
    return _grams[key]
