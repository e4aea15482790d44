"""EfficientNet-Lite0 without its classifier: a stem and sixteen inverted bottlenecks, activations cut at 6.

Tan and Le 2019 for the network; the lite variants leave out squeeze-and-excitation and bound the activation. The
weights are TensorFlow's, so batch norm's epsilon is 1e-3, and pictures come as (levels − 127)/128.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.features.kinds import LITE0_LAYERS
from kernels.features.trunk import Stage, Trunk, convolved, layout

if TYPE_CHECKING:
    from torch import Tensor

MEAN, DEVIATION = (127.0, 127.0, 127.0), 128.0
EPSILON = 1e-3
SIX = 6.0
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the sixteen blocks


def efficientnet_lite0(
    identity: str, tensors: Mapping[str, Tensor], wanted: Collection[str], device: torch.device
) -> Trunk:
    """The network from the tensors of `efficientnet-lite-pytorch`, as far as the last layer wanted."""
    return Trunk(identity, list(_stages(tensors, wanted, device)), wanted, MEAN, DEVIATION)


def _stages(tensors: Mapping[str, Tensor], wanted: Collection[str], device: torch.device) -> Iterator[Stage]:
    stem = _Convolution.read(tensors, "_conv_stem", "_bn0", device)
    yield Stage("stem", partial(stem, stride=2, ceiling=SIX), 2)
    last = max(map(LITE0_LAYERS.index, wanted))
    for number, stride in enumerate(STRIDES[:last]):
        yield Stage(f"block{number}", _block(tensors, f"_blocks.{number}.", stride, device), stride)


def _block(tensors: Mapping[str, Tensor], at: str, stride: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Wider, each channel filtered alone, narrower without an activation; added to what came in where sizes agree."""
    read = partial(_Convolution.read, tensors, device=device)
    expand = read(f"{at}_expand_conv", f"{at}_bn0") if f"{at}_expand_conv.weight" in tensors else None
    depthwise, project = read(f"{at}_depthwise_conv", f"{at}_bn1"), read(f"{at}_project_conv", f"{at}_bn2")
    channels_in = (expand or depthwise).weight.shape[1 if expand else 0]
    residual = stride == 1 and channels_in == project.weight.shape[0]

    def block(x: Tensor) -> Tensor:
        y = x if expand is None else expand(x, ceiling=SIX)
        y = depthwise(y, stride=stride, groups=y.shape[1], ceiling=SIX)
        y = project(y)
        return y.add_(x) if residual else y

    return block


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A convolution with the batch norm behind it as one."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor, **how: float | None) -> Tensor:
        return convolved(x, self.weight, self.bias, **how)  # type: ignore[arg-type]  # an int is a float there

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor], name: str, norm: str, device: torch.device) -> _Convolution:
        factor = tensors[f"{norm}.weight"] / torch.sqrt(tensors[f"{norm}.running_var"] + EPSILON)
        weight = tensors[f"{name}.weight"] * factor[:, None, None, None]
        bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * factor
        return cls(layout(weight, device), bias.to(device))
