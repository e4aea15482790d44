"""The part of a feature network that is in use: from the picture to the last layer asked for. Its weights are fixed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import torch

if TYPE_CHECKING:
    from torch import Tensor

PROBE = 8
"""Strides: the side of the picture on which memory is measured."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a network, 1×C×h×w to 1×C'×h/scale×w/scale. It may overwrite nothing but what it made itself."""

    name: str
    function: Callable[[Tensor], Tensor]
    scale: int = 1


Stages: TypeAlias = Sequence[Stage]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes: those of the weights, and for a pixel on the way there and back, and of each layer by name."""

    weights: int
    there_and_back: float
    layers: Mapping[str, float]


class Trunk:
    """Stages as far as the last of the layers `wanted`, which are named as their stages are.

    The first is given `(levels − mean)/deviation`, levels 0..255 in RGB. `identity` names the network with its weights.
    """

    def __init__(
        self,
        identity: str,
        stages: Stages,
        wanted: Collection[str],
        mean: Sequence[float],
        deviation: float = 1.0,
    ) -> None:
        last = max(number for number, stage in enumerate(stages) if stage.name in wanted)
        self.identity = identity
        self._stages = stages[: last + 1]
        self._wanted = wanted
        self._mean, self._deviation = mean, deviation

    @property
    def scales(self) -> dict[str, int]:
        """How many rows of the picture become one row of a layer, by its name."""
        scales = accumulate((stage.scale for stage in self._stages), lambda one, other: one * other)
        return {
            stage.name: scale for stage, scale in zip(self._stages, scales, strict=True) if stage.name in self._wanted
        }

    @property
    def stride(self) -> int:
        """What both sides of a picture must be multiples of."""
        return max(self.scales.values())

    def __call__(self, levels: Tensor) -> dict[str, Tensor]:
        """The layers of float32 3×h×w levels, or 1×h×w for a grey picture: N×h'×w' by name."""
        mean = torch.tensor(self._mean, device=levels.device)[:, None, None]
        x = ((levels - mean) / self._deviation)[None].contiguous(memory_format=torch.channels_last)
        layers = dict[str, "Tensor"]()
        for stage in self._stages:
            x = stage.function(x)
            if stage.name in self._wanted:
                layers[stage.name] = x.squeeze(0)  # of a selection the way back would fill zeros in
        return layers

    def footprint(self, device: torch.device) -> Footprint:
        """What a pixel takes, measured on a small picture.

        There and back that is what is kept for the way back, where to go at each layer wanted, and the largest answer
        twice: on its way each gradient stands beside the one it is made of.
        """
        side, kept, weights = PROBE * self.stride, dict[int, int](), dict[int, int]()

        def keep(tensor: Tensor) -> Tensor:
            answer = tensor.ndim == 4 and tensor.shape[0] == 1
            (kept if answer else weights)[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            layers = self(torch.zeros(3, side, side, device=device, requires_grad=True))
        sizes = {name: layer.nbytes / side**2 for name, layer in layers.items()}
        there_and_back = (sum(kept.values()) + 2 * max(kept.values())) / side**2 + sum(sizes.values())
        return Footprint(sum(weights.values()), there_and_back, sizes)
