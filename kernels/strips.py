"""Large pictures in strips of rows, each with a halo: the rows beyond it that its result depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from kernels.backend import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows top..bottom of a picture are looked at, and of these start..stop are the strip's own."""

    start: int
    stop: int
    top: int
    bottom: int

    @property
    def own(self) -> slice:
        """The strip's own rows within the picture."""
        return slice(self.start, self.stop)

    @property
    def core(self) -> slice:
        """The strip's own rows within the rows looked at."""
        return slice(self.start - self.top, self.stop - self.top)

    def planes(self, picture: Tensor) -> Tensor:
        """The rows looked at of an uint8 H×W×3 picture: float32 3×h×W on the scale 0..1."""
        return picture[self.top : self.bottom].permute(2, 0, 1).contiguous().float().div_(255)


def strips(height: int, width: int, halo: int, pixels: int) -> list[Strip]:
    """A picture cut into strips of nearly equal height, `halo` rows wider at either end where the picture goes on.

    One that has at most `pixels` stays whole. Otherwise a strip with its halo has about that many, unless its own rows
    were then fewer than a halo: everything would be computed more than three times.
    """
    if height * width <= pixels:
        return [Strip(0, height, 0, height)]
    count = math.ceil(height / max(halo, pixels // width - 2 * halo, 1))
    edges = [height * index // count for index in range(count + 1)]
    return [Strip(start, stop, max(0, start - halo), min(height, stop + halo)) for start, stop in pairwise(edges)]


def to_bytes(planes: Tensor) -> Tensor:
    """3×h×W planes on the scale 0..1 as pixels: uint8 h×W×3, rounded to the nearest level."""
    return (255 * planes).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
