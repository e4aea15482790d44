"""VGG-19 without its classifier (Simonyan and Zisserman 2014): 16 convolutions with ReLU in five scales.

Between the scales the mean of 2×2 is taken, as Gatys, Ecker and Bethge (CVPR 2016, section 2) do for pictures that are
made; the network was trained with their maximum. A layer is what stands behind its ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.features.kinds import VGG19_LAYERS
from kernels.features.trunk import Stage, Trunk

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
SEED = 19


def names_up_to(wanted: Collection[str]) -> tuple[str, ...]:
    """The layers that must be computed for those wanted."""
    return VGG19_LAYERS[: 1 + max(map(VGG19_LAYERS.index, wanted))]


def vgg19(
    identity: str,
    tensors: Mapping[str, Tensor],
    mean: Sequence[float],
    wanted: Collection[str],
    device: torch.device,
) -> Trunk:
    """The network from `NAME.weight` (O×I×3×3) and `NAME.bias` of each layer up to the last one wanted."""
    from kernels.features.convolution import convolved, layout

    stages = list[Stage]()
    for name in names_up_to(wanted):
        if name.endswith("_1") and stages:
            stages.append(Stage("", partial(F.avg_pool2d, kernel_size=2), 2))
        weight, bias = layout(tensors[f"{name}.weight"], device), tensors[f"{name}.bias"].to(device)
        stages.append(Stage(name, partial(convolved, weight=weight, bias=bias, ceiling=math.inf)))
    return Trunk(identity, stages, wanted, mean)


def random_tensors(wanted: Collection[str]) -> dict[str, Tensor]:
    """Weights by chance, always the same: normal with variance 2/inputs (He and others 2015), biases 0.

    Every layer has a stream of its own, so it does not depend on how many there are.
    """
    tensors, before = dict[str, "Tensor"](), 3
    for number, name in enumerate(names_up_to(wanted)):
        channels = CHANNELS[int(name[4])]
        generator = torch.Generator().manual_seed(SEED + number)
        spread = math.sqrt(2 / (9 * before))
        tensors[f"{name}.weight"] = spread * torch.randn(channels, before, 3, 3, generator=generator)
        tensors[f"{name}.bias"] = torch.zeros(channels)
        before = channels
    return tensors
