"""What a style transfer takes of memory: what the process keeps, the pictures, a pixel on its way through a network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from kernels.features.trunk import Trunk
from kernels.style_plan import Costs

if TYPE_CHECKING:
    from torch import Tensor

OWN = 100 << 20
"""Bytes that PyTorch takes for itself at the first convolutions of a process, and keeps."""
JUDGE = 60 << 20
"""Bytes that looking at the result takes, also through the network that judges it."""
RESAMPLED = 36
"""Bytes for a pixel of a picture of its new height and its old width: two floats of each color, and holes."""

_begun = list[bool]()
"""Holds something once a task of this process has begun to compute."""


def begin() -> None:
    """From now on what PyTorch takes for itself is there."""
    _begun.append(True)


def costs(
    inputs: Mapping[str, Tensor], shape: tuple[int, int], channels: int, trunk: Trunk, content_layers: Collection[str]
) -> Costs:
    """In bytes, for uint8 inputs and a result of this height and width; measured on a small picture."""
    (height, width), device = shape, next(iter(inputs.values())).device
    footprint = trunk.footprint(device)
    kept = 0 if _begun else OWN + footprint.weights
    return Costs(
        pixel=footprint.there_and_back,
        features=sum(footprint.layers[name] for name in content_layers),
        fixed=kept + JUDGE + 3 * height * width + sum(_held(picture, *shape) for picture in inputs.values()),
        channels=channels,
        stride=trunk.stride,
    )


def _held(picture: Tensor, height: int, width: int) -> int:
    """An input, and making it smaller."""
    rows, columns, _ = picture.shape
    resampled = 0 if (rows, columns) == (height, width) else RESAMPLED * min(rows, height) * columns
    return picture.nbytes + resampled
