"""What is known of the picture that is sought: its levels, those of a mask's white part, or those of a smaller copy."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.backend import F, torch

if TYPE_CHECKING:
    from torch import Tensor

HELD, HELD_LEAST, HELD_MOST = 0.02, 400, 0.1
"""Of the known pixels, so many are held out: this share, but as many as tell something, and no more than a tenth."""
LOBES = 2
"""Of the Lanczos kernel that the authors of deep image prior make pictures smaller by: 4·factor taps."""
HALF = 128
"""Level of a mask from which a pixel is kept."""


@dataclass(frozen=True, slots=True)
class Observation:
    """`levels` float32 1×C×h×w on the scale 0..1, of a picture `factor` times as large.

    `seen` is 1 where the levels are what a picture is trained on, or 0; `held` where they are held out; 1×1×h×w.
    """

    levels: Tensor
    seen: Tensor | None = None
    held: Tensor | None = None
    factor: int = 1

    def loss(self, picture: Tensor) -> Tensor:
        """The mean square by which a picture misses what is seen, over all pixels and colors."""
        difference = reduced(picture, self.factor) - self.levels
        return (difference if self.seen is None else difference * self.seen).square().mean()

    def held_out(self, picture: Tensor) -> Tensor:
        """The mean square by which a picture misses what is held out."""
        assert self.held is not None
        return ((picture - self.levels) * self.held).square().sum() / (self.held.sum() * self.levels.shape[1])


def observed(levels: Tensor, kept: Tensor | None, factor: int, generator: torch.Generator | None) -> Observation:
    """What is known, where `kept` is 1; some of it is held out if there is a generator to draw it with."""
    if generator is None:
        return Observation(levels, kept, None, factor)
    known = torch.ones_like(levels[:, :1]) if kept is None else kept
    count = known.sum()
    share = (HELD_LEAST / count).clamp(HELD, HELD_MOST)
    held = known * (torch.rand(known.shape, generator=generator, device=known.device) < share)
    if not held.any():  # of few pixels none may have been drawn
        held.view(-1)[known.flatten().argmax()] = 1
    return Observation(levels, known - held, held, factor)


def reduced(picture: Tensor, factor: int) -> Tensor:
    """A picture 1×C×H×W made smaller by a Lanczos kernel with two lobes, its rim continued: 1×C×H/factor×W/factor."""
    if factor == 1:
        return picture
    channels, taps = picture.shape[1], _taps_on(factor, picture.dtype, picture.device)
    picture = F.pad(picture, ((len(taps) - factor) // 2,) * 4, mode="replicate")
    picture = F.conv2d(picture, taps.expand(channels, 1, 1, -1), stride=(1, factor), groups=channels)
    return F.conv2d(picture, taps[:, None].expand(channels, 1, -1, 1), stride=(factor, 1), groups=channels)


@functools.cache
def _taps_on(factor: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Brought there once: each copy to a card makes it wait."""
    return lanczos_taps(factor).to(device, dtype)


def lanczos_taps(factor: int) -> Tensor:
    """The taps, which sum to 1, float64: 4·factor, or of an odd factor one less: there is one in the middle."""
    count = 2 * LOBES * factor - factor % 2
    x = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) / factor
    taps = torch.sinc(x) * torch.sinc(x / LOBES)
    return taps / taps.sum()


def colors_of(picture: Tensor) -> int:
    """How many colors uint8 H×W×3 has: 1 if it is grey, or 3."""
    red, green, blue = picture.unbind(2)
    return 1 if torch.equal(red, green) and torch.equal(green, blue) else 3


def levels_of(picture: Tensor, colors: int) -> Tensor:
    """uint8 H×W×3 as float32 1×C×H×W on the scale 0..1, C the first `colors` of the three."""
    return picture[:, :, :colors].permute(2, 0, 1)[None].float() / 255


def kept_by(mask: Tensor) -> Tensor:
    """Where an uint8 H×W×3 mask is light: bool H×W×1."""
    summed: Tensor = mask[:, :, :1].short().add_(mask[:, :, 1:2]).add_(mask[:, :, 2:])
    return summed >= 3 * HALF


def padded(side: int, stride: int, least: int) -> int:
    """The least multiple of `stride` that is no less than `side` and `least`."""
    return stride * math.ceil(max(side, least) / stride)
