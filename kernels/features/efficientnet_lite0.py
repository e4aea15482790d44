"""EfficientNet-Lite0 without its classifier: a stem and sixteen inverted bottlenecks, activations cut at 6.

Tan and Le 2019 for the network; the lite variants leave out squeeze-and-excitation and bound the activation. The
weights are TensorFlow's, so batch norm's epsilon is 1e-3, and pictures come as (levels − 127)/128.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.features.kinds import LITE0_LAYERS
from kernels.features.trunk import Stage, Trunk

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
    yield Stage("stem", partial(_convolution(tensors, "_conv_stem", "_bn0", device, stride=2), ceiling=SIX), 2)
    last = max(map(LITE0_LAYERS.index, wanted))
    for number, stride in enumerate(STRIDES[:last]):
        yield Stage(f"block{number}", _block(tensors, f"_blocks.{number}.", stride, device), stride)


def _block(tensors: Mapping[str, Tensor], at: str, stride: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Wider, each channel filtered alone, narrower without an activation; added to what came in where sizes agree."""
    read = partial(_convolution, tensors, device=device)
    expand = read(f"{at}_expand_conv", f"{at}_bn0") if f"{at}_expand_conv.weight" in tensors else None
    depthwise = read(f"{at}_depthwise_conv", f"{at}_bn1", stride=stride)
    project = read(f"{at}_project_conv", f"{at}_bn2")

    def block(x: Tensor) -> Tensor:
        y = x if expand is None else expand(x, ceiling=SIX)
        y = project(depthwise(y, groups=y.shape[1], ceiling=SIX))
        return y.add_(x) if y.shape == x.shape else y

    return block


def _convolution(
    tensors: Mapping[str, Tensor], name: str, norm: str, device: torch.device, stride: int = 1
) -> Callable[..., Tensor]:
    """A convolution with the batch norm behind it as one."""
    from kernels.features.convolution import convolved, layout, widened

    factor = tensors[f"{norm}.weight"] / torch.sqrt(tensors[f"{norm}.running_var"] + EPSILON)
    weight = tensors[f"{name}.weight"] * factor[:, None, None, None]
    bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * factor
    weight = layout(widened(weight) if stride == 2 else weight, device)
    return partial(convolved, weight=weight, bias=bias.to(device), stride=stride)
