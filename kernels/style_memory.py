"""What a style transfer takes of memory: what the process keeps, the pictures, a pixel on its way through a network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from kernels.features.trunk import Trunk
from kernels.style_pictures import style_shape
from kernels.style_plan import Costs

if TYPE_CHECKING:
    from torch import Tensor

OWN = 90 << 20
"""Bytes that PyTorch takes for itself at the first convolutions of a process, and keeps."""
JUDGE = 50 << 20
"""Bytes that looking at the result takes, also through the network that judges it."""
RESAMPLED = 30
"""Bytes for a pixel of a picture of its new height and its old width: two floats of each color, and holes."""
LEVELS = 24
"""Bytes for a pixel of the style as it is looked at: floats, and once more in other colors or on their way."""

_begun = set[str]()
"""The networks that tasks of this process have looked through."""


def begin(trunk: Trunk) -> None:
    """From now on what PyTorch takes for itself is there, and so are the weights."""
    _begun.add(trunk.identity)


def costs(
    inputs: Mapping[str, Tensor],
    shape: tuple[int, int],
    style_scale: float,
    channels: int,
    trunk: Trunk,
    content_layers: Collection[str],
) -> Costs:
    """In bytes, for uint8 inputs and a result of this height and width; measured on a small picture."""
    content, style = inputs["content"], inputs["style"]
    rows, columns = style_shape(style, style_scale, *shape)
    footprint = trunk.footprint(content.device)
    kept = (0 if _begun else OWN) + (0 if trunk.identity in _begun else footprint.weights)
    pictures = 3 * shape[0] * shape[1] + _held(content, *shape) + _held(style, rows, columns)
    return Costs(
        pixel=footprint.there_and_back,
        features=sum(footprint.layers[name] for name in content_layers),
        fixed=kept + JUDGE + pictures + LEVELS * rows * columns,
        channels=channels,
        stride=trunk.stride,
    )


def _held(picture: Tensor, height: int, width: int) -> int:
    """An input, and making it smaller."""
    rows, columns, _ = picture.shape
    resampled = 0 if (rows, columns) == (height, width) else RESAMPLED * min(rows, height) * columns
    return picture.nbytes + resampled
