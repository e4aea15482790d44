"""The feature networks that there are, as far as one can tell without their weights. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Weighting = Mapping[str, float]
"""Weights of layers, by name."""

VGG19, LITE0, RANDOM = "vgg19", "efficientnet-lite0", "vgg19-random"

_VGG19_DEPTHS = (2, 2, 4, 4, 4)  # convolutions in each of the five scales
VGG19_LAYERS = tuple(
    f"conv{scale}_{number}" for scale, depth in enumerate(_VGG19_DEPTHS, 1) for number in range(1, depth + 1)
)
LITE0_LAYERS = ("stem", *(f"block{number}" for number in range(16)))


@dataclass(frozen=True, slots=True)
class Kind:
    """A network: its layers from the first to the last, and those that style transfer looks at by default."""

    name: str
    layers: tuple[str, ...]
    content: Weighting
    style: Weighting


def _alike(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 1.0)


_VGG_STYLE = _alike(*(f"conv{scale}_1" for scale in range(1, 6)))
KINDS = {
    kind.name: kind
    for kind in (
        Kind(VGG19, VGG19_LAYERS, _alike("conv4_2"), _VGG_STYLE),
        Kind(LITE0, LITE0_LAYERS, _alike("block7"), _alike("stem", "block0", "block2", "block4", "block7", "block10")),
        Kind(RANDOM, VGG19_LAYERS, _alike("conv4_2"), _VGG_STYLE),
    )
}
"""By name, the best first: `auto` takes the first that is there and has the layers asked for."""
