"""Pictures to measure, and the numbers that a chain gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import skimage.data
import torch
from PIL import Image

from export.graph import ChainModule, output_names
from kernels.chain import Chain, parse_chain
from kernels.measuring import Finding, decibels, finding, series_of
from tests.kernels.references import Bytes

Numbers: TypeAlias = dict[tuple[str, int | None], float]

SIZE = 256
WHOLE = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina", "immunohistochemistry")
CROPS = (
    ("astronaut", 0, 130),
    ("astronaut", 256, 0),
    ("astronaut", 250, 256),
    ("chelsea", 20, 90),
    ("coffee", 40, 120),
    ("coffee", 140, 300),
    ("rocket", 150, 200),
    ("hubble_deep_field", 0, 0),
    ("hubble_deep_field", 500, 600),
    ("retina", 300, 200),
    ("retina", 700, 900),
    ("immunohistochemistry", 128, 128),
)
"""Photographs that ship in scikit-image's wheel, as a whole, and parts of them by their top and left."""


def original(name: str) -> Bytes:
    """A photograph in RGB at its own size."""
    picture: Bytes = getattr(skimage.data, name)()
    return picture


def shrunk(picture: Bytes, size: int = SIZE) -> Bytes:
    """The picture at `size` × `size` as Pillow makes and saves it: it rounds between its two passes too."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


def photographs() -> Bytes:
    """Twenty different photographs of 256 × 256."""
    left, _, _ = skimage.data.stereo_motorcycle()
    whole = [shrunk(picture) for picture in (*map(original, WHOLE), left)]
    parts = [original(name)[top : top + SIZE, left : left + SIZE] for name, top, left in CROPS]
    return np.stack([*whole, *parts])


def noise(height: int, width: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def computed(chain: Chain, pictures: Bytes) -> dict[str, Any]:
    """The outputs of the chain's graph, by name, as PyTorch computes them."""
    with torch.no_grad():
        values = ChainModule(chain).eval()(torch.from_numpy(np.ascontiguousarray(pictures)))
    return {name: value.numpy() for name, value in zip(output_names(chain), values, strict=True)}


def findings(chain: Chain, outputs: Mapping[str, Any]) -> list[Finding]:
    """What the outputs of a chain's graph say of each picture."""
    count = len(next(iter(outputs.values())))
    return [finding(chain, {name: rows[index] for name, rows in outputs.items()}) for index in range(count)]


def numbers(chain: Chain, found: Finding) -> Numbers:
    """Decibels by input and scale."""
    names = [(series.input, series.scale) for series in series_of(chain)]
    return dict(zip(names, map(decibels, found.mse), strict=True))


def measured(steps: object, *pictures: Bytes) -> list[Numbers]:
    """Decibels for each of the pictures, which are of one size, without an export."""
    chain = parse_chain(steps)
    return [numbers(chain, found) for found in findings(chain, computed(chain, np.stack(pictures)))]
