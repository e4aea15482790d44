"""How large a picture a prior is trained on at a time, and what that takes of memory: planned once, before any step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kernels.backend import torch
from kernels.prior_network import Network, Shape
from kernels.prior_observation import padded
from kernels.tasks import TaskStarved
from kernels.tiles import Tile, tiles

HALO = 32
"""Pixels that a tile sees beyond its own; over twice as many two tiles are blended."""
SIDES = (768, 512, 384, 256)
"""Of tiles, in pixels with the halo. A larger picture is never one tile: the authors' have 512×768 pixels at most, and
one network has so much to learn at a time, whatever memory there is."""
OWN = 90 << 20
"""Bytes that PyTorch takes for itself at the first convolutions of a process; later it is what jobs before left in
holes: what took 302 MiB by the rest of this formula took up to 384 after a job of 958."""
WIDE = 128
"""Channels of the networks that have a smaller one (kernels/prior_presets.py)."""
VECTORS = 10
"""Copies of the weights, as floats: the weights, Adam's two, the gradient, and what a step makes of them."""
FLOAT = 4
HOLES = 1.2
"""A heap has some; see docs/performance.md."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The side of the tiles, and the bytes that all of it takes at the peak."""

    side: int
    memory: int


def cut(height: int, width: int, side: int, factor: int) -> list[Tile]:
    """The picture sought, in tiles whose edges are multiples of `factor`."""
    return tiles(height, width, side=side, halo=HALO, stride=factor)


def plan(
    height: int, width: int, pictures: int, factor: int, network: Network, precision: str, memory: int, wanted: int
) -> Plan:
    """The largest tiles that need no more than `wanted` bytes, or else the smallest if `memory` bytes are enough.

    `height` and `width` are the result's, `pictures` the bytes of those that are held whole. Raises TaskStarved.
    """
    pixel, fixed = _per_pixel(network, precision), FLOAT * VECTORS * network.weights + OWN
    needed = 0
    for side in _sides(height, width):
        seen = max(_area(network.shape, tile) for tile in cut(height, width, side, factor))
        needed = int(fixed + pictures + HOLES * seen * pixel)
        if needed <= wanted:
            break
    if needed <= memory:
        return Plan(side, needed)
    cheaper = "size: small, or " if max(network.shape.down) >= WIDE else ""
    raise TaskStarved(
        f"{width}×{height} needs {needed / 2**20:,.0f} MiB at least, and {memory / 2**20:,.0f} MiB can be had;"
        f" give it a smaller picture, or {cheaper}more memory"
    )


def _sides(height: int, width: int) -> Iterator[int]:
    whole = max(height, width)
    if whole <= SIDES[0]:
        yield whole
    yield from (side for side in SIDES if side < whole)


def _area(shape: Shape, tile: Tile) -> int:
    """Pixels that the network gives for a tile."""
    height, width = (span.high - span.low for span in (tile.rows, tile.columns))
    return padded(height, shape.stride, shape.least) * padded(width, shape.stride, shape.least)


def _per_pixel(network: Network, precision: str) -> float:
    """Bytes that a pixel takes there and back, measured on the smallest picture: what is kept, and as gradients go."""
    side, kept = network.shape.least, dict[int, int]()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim == 4 and tensor.shape[0] == 1:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = network.named(network.initial(torch.Generator().manual_seed(0)))
    noise = torch.zeros(1, side, side, network.shape.noise, dtype=getattr(torch, precision)).permute(0, 3, 1, 2)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(weights, noise)
    drawn = 3 * FLOAT * network.shape.noise  # the noise, its jitter, and their sum
    return (sum(kept.values()) + 3 * max(kept.values())) / side**2 + drawn
