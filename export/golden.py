"""A golden picture: a small input any engine can make, and what PyTorch computes from it.

The compiler writes it beside a graph; whatever runs the graph later is held against it. Knows neither torch nor onnx.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

SHAPE = (2, 25, 38)
"""Batch, height and width: two pictures, so that a batch is told from a picture, and sides no usual block divides."""
MOST_BYTES = 1 << 20
"""A chain that makes large pictures of small ones (`resize: {width: 3000}`) is not worth a large card."""

MOST_LEVELS = 1  # a tie may round either way where float32 sums run in another order
LEAST_EQUAL = 0.98  # … but rarely: TF32 rounds one value in eight of a blur differently
MOST_RELATIVE = 1e-3  # of a measured mean square: 0.004 dB, where the promise is 0.01 dB
MOST_ABSOLUTE = 1e-9  # on the scale 0..1: 90 dB, where float32 has no digits left


@dataclass(frozen=True, slots=True)
class Golden:
    """An input, uint8 N×H×W×3, and the outputs by name that a graph must make of it.

    `relative` is how far numbers may be off; levels may be off by MOST_LEVELS.
    """

    batch: NDArray[np.uint8]
    outputs: Mapping[str, Array]
    relative: float = MOST_RELATIVE


def pattern(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pictures uint8 N×H×W×3, the same on every machine: noise, where every pixel counts, and then a ramp."""
    count = np.prod(shape, dtype=np.int64) * 3
    noise = np.arange(count, dtype=np.uint32) * np.uint32(2654435761)  # Knuth's multiplicative hash, modulo 2^32
    pictures = (noise >> np.uint32(24)).astype(np.uint8).reshape(*shape, 3)
    _, height, width = shape
    ramp = (np.arange(height)[:, None] + np.arange(width))[..., None] * np.array([1, 2, 3])
    pictures[1::2] = (ramp % 256).astype(np.uint8)
    return pictures


def pack(golden: Golden) -> dict[str, object] | None:
    """What is written into a graph's card, as JSON; None when it would be too large to be worth it."""
    if sum(array.nbytes for array in golden.outputs.values()) > MOST_BYTES:
        return None
    outputs = {
        name: {
            "type": str(array.dtype),
            "shape": list(array.shape),
            "data": base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes())).decode("ascii"),
        }
        for name, array in golden.outputs.items()
    }
    return {"shape": list(golden.batch.shape[:3]), "outputs": outputs}


def unpack(card: object) -> Golden | None:
    """The golden picture of a card; None when it has none, or a damaged one."""
    try:
        batch, height, width = card["shape"]  # type: ignore[index]  # whatever JSON held: a fault is caught below
        outputs = {name: _array(told) for name, told in card["outputs"].items()}  # type: ignore[index]
        return Golden(pattern((int(batch), int(height), int(width))), outputs)
    except (TypeError, KeyError, ValueError, AttributeError, zlib.error):
        return None


def _array(told: Mapping[str, Any]) -> Array:
    data = zlib.decompress(base64.b64decode(told["data"], validate=True))
    return np.frombuffer(data, np.dtype(told["type"])).reshape(told["shape"])


def difference(given: Mapping[str, Array], golden: Golden) -> str:
    """What is wrong with what a run gave, in words; nothing when all is as it must be."""
    for name, right in golden.outputs.items():
        if name not in given:
            return f"it gave no {name!r}"
        if given[name].shape != right.shape:
            return f"{name} has the shape {given[name].shape}, not {right.shape}"
        of_levels = right.dtype == np.uint8
        fault = _levels(given[name], right) if of_levels else _numbers(given[name], right, golden.relative)
        if fault:
            return f"{name} is {fault}"
    return ""


def _levels(given: Array, right: Array) -> str:
    apart = np.abs(given.astype(np.int16) - right)
    equal = float((apart == 0).mean()) if apart.size else 1.0
    if not apart.size or (apart.max() <= MOST_LEVELS and equal >= LEAST_EQUAL):
        return ""
    return f"up to {apart.max()} of 255 levels off, {equal:.1%} of it equal"


def _numbers(given: Array, right: Array, relative: float) -> str:
    if np.allclose(given, right, rtol=relative, atol=MOST_ABSOLUTE):
        return ""
    apart = np.abs(given.astype(np.float64) - right) / np.maximum(np.abs(right), MOST_ABSOLUTE)
    return f"up to {np.nan_to_num(apart, nan=np.inf).max():.2g} times itself off"
