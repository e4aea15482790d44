"""The network of a deep image prior: noise in, picture out (Ulyanov, Vedaldi, Lempitsky, CVPR 2018).

An hourglass with thin skips. It computes what the authors' does, in less than half of the time: a convolution of a
picture that was enlarged by two is the enlargement of a transposed convolution, which has a quarter of the products,
as linear filters may change places. See docs/decisions/020-prior-network.md for what else differs, and by how much.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.backend import F, torch

if TYPE_CHECKING:
    from torch import Tensor

SLOPE = 0.2
"""Of the leaky rectifier below 0, the authors'."""
ENLARGING = {"bilinear": (0.25, 0.75, 0.75, 0.25), "nearest": (1.0, 1.0)}
"""Filters that make every other pixel: enlarging by two is to put zeros between the pixels, and then this, each way."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`noise` channels go in. Each level, the finest first, has `down` and `up` channels, and `skip` past the coarser.

    `kernel` is that of the convolutions on the way down; with `pointwise` each level ends with one of 1×1.
    """

    noise: int
    down: tuple[int, ...]
    up: tuple[int, ...]
    skip: tuple[int, ...]
    enlarging: str = "bilinear"
    kernel: int = 3
    pointwise: bool = True

    @property
    def stride(self) -> int:
        """Sides of the noise are multiples of this."""
        return 1 << len(self.down)

    @property
    def least(self) -> int:
        """The least side of the noise: below, the coarsest level would have a single pixel, and nothing to reflect."""
        return self.stride * (self.kernel // 2 + 1)


class Network:
    """Its weights are one vector, so that one optimiser, one checkpoint and one random generator serve all of them."""

    def __init__(self, shape: Shape, colors: int) -> None:
        self.shape = shape
        self._sizes = _sizes(shape, colors)

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(math.prod(size) for size in self._sizes.values())

    def initial(self, generator: torch.Generator) -> Tensor:
        """Weights to begin with, as PyTorch's layers have them: float32, within 1/√(values that are summed)."""
        parts: list[Tensor] = []
        for name, size in self._sizes.items():
            if name.endswith((".scale", ".shift")):
                parts.append(torch.full(size, float(name.endswith(".scale")), device=generator.device))
                continue
            bound = 1 / math.sqrt(self._summed(name))
            parts.append(bound * (2 * torch.rand(size, generator=generator, device=generator.device) - 1))
        return torch.cat([part.flatten() for part in parts])

    def _summed(self, name: str) -> int:
        """The values that make one output; a level's two convolutions on the way up are one over both their inputs."""
        level, _, kind = name.partition(".")
        together = (f"{level}.up", f"{level}.up_skip") if kind in ("up", "up_skip") else (name,)
        if name == "color_shift":
            together = ("color",)
        return sum(math.prod(self._sizes[each][1:]) for each in together if each in self._sizes)

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """The parts of the vector by name, each a leaf for automatic gradients."""
        parts = torch.split(weights.detach(), [math.prod(size) for size in self._sizes.values()])
        return {
            name: part.view(size).requires_grad_()
            for part, (name, size) in zip(parts, self._sizes.items(), strict=True)
        }

    def __call__(self, weights: Mapping[str, Tensor], noise: Tensor) -> Tensor:
        """The picture, float32 1×colors×H×W on the scale 0..1, from noise 1×C×H×W; computed in the noise's type."""
        x = laid_out(noise)
        skips: list[Tensor | None] = []
        for level, width in enumerate(self.shape.skip):
            skip = f"{level}.skip"
            skips.append(_rectified(weights, skip, _convolved(weights, skip, x)) if width else None)
            for name, stride in ((f"{level}.down1", 2), (f"{level}.down2", 1)):
                x = _rectified(weights, name, _convolved(weights, name, x, stride))
        for level in reversed(range(len(skips))):
            x = self._up(weights, level, x, skips[level])
        return torch.sigmoid(F.conv2d(x, weights["color"].to(x.dtype), weights["color_shift"].to(x.dtype)).float())

    def _up(self, weights: Mapping[str, Tensor], level: int, x: Tensor, skip: Tensor | None) -> Tensor:
        """One level on the way up: twice as large, with what came past the coarser levels."""
        x = _normalised(weights, f"{level}.up_in", x)
        x = _enlarged_and_convolved(x, weights[f"{level}.up"], ENLARGING[self.shape.enlarging])
        if skip is not None:
            x = x + _convolved(weights, f"{level}.up_skip", _normalised(weights, f"{level}.skip_in", skip))
        x = _rectified(weights, f"{level}.up", x)
        if self.shape.pointwise:
            x = _rectified(weights, f"{level}.point", _convolved(weights, f"{level}.point", x))
        return x


def _sizes(shape: Shape, colors: int) -> dict[str, tuple[int, ...]]:
    """The weights by name. Before a normalisation a bias would do nothing, so there is none."""
    sizes: dict[str, tuple[int, ...]] = {}
    before, kernel = shape.noise, (shape.kernel, shape.kernel)
    for level, (down, up, skip) in enumerate(zip(shape.down, shape.up, shape.skip, strict=True)):
        below = shape.up[level + 1] if level + 1 < len(shape.up) else down
        normalised = {"down1": down, "down2": down, "up_in": below, "up": up}
        sizes |= {f"{level}.down1": (down, before, *kernel), f"{level}.down2": (down, down, *kernel)}
        sizes[f"{level}.up"] = (up, below, 3, 3)
        if skip:
            sizes |= {f"{level}.skip": (skip, before, 1, 1), f"{level}.up_skip": (up, skip, 3, 3)}
            normalised |= {"skip": skip, "skip_in": skip}
        if shape.pointwise:
            sizes[f"{level}.point"] = (up, up, 1, 1)
            normalised["point"] = up
        for name, channels in normalised.items():
            sizes |= {f"{level}.{name}.scale": (channels,), f"{level}.{name}.shift": (channels,)}
        before = down
    return sizes | {"color": (colors, shape.up[0], 1, 1), "color_shift": (colors,)}


def _normalised(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Batch normalisation over the one picture there is."""
    return F.batch_norm(x, None, None, weights[f"{name}.scale"], weights[f"{name}.shift"], training=True)


def _rectified(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.leaky_relu_(_normalised(weights, name, x), SLOPE)


def _convolved(weights: Mapping[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolution in the type of x, which is reflected at its rim."""
    kernel = laid_out(weights[name].to(x.dtype))
    if reach := kernel.shape[2] // 2:
        x = F.pad(x, (reach,) * 4, mode="reflect")
    return F.conv2d(x, kernel, stride=stride)


def _enlarged_and_convolved(x: Tensor, kernel: Tensor, enlarging: tuple[float, ...]) -> Tensor:
    """x enlarged by two and convolved with a 3×3 kernel, its rim continued: 1×C×2h×2w."""
    turned = laid_out(kernel.to(x.dtype).flip(2, 3).transpose(0, 1))
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = F.conv_transpose2d(x, turned, stride=2, padding=3 - len(enlarging) // 2)
    return F.conv2d(x, filters(enlarging, len(kernel), x.dtype, x.device), groups=len(kernel))


@functools.cache
def filters(taps: tuple[float, ...], channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One for each channel. Made once: each copy to a card makes it wait."""
    row = torch.tensor(taps, dtype=dtype, device=device)
    return laid_out((row[:, None] * row).expand(channels, 1, -1, -1))


def laid_out(x: Tensor) -> Tensor:
    """Pictures and kernels in the order in memory that the convolutions are fastest with."""
    return x.contiguous(memory_format=_order(x.dtype, x.device))


@functools.cache
def _order(dtype: torch.dtype, device: torch.device) -> torch.memory_format:
    """Channels last, 2.5 times as fast as planes in bfloat16. Only float32 with AVX2 and no more is better off with
    planes: the gradient of a 3×3 convolution takes half of the time (docs/decisions/020-prior-network.md)."""
    planes = device.type == "cpu" and dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if planes else torch.channels_last
