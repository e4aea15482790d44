"""A golden picture: a small input any engine can make, and what PyTorch computes from it.

The compiler writes it beside a graph; whatever runs the graph later is held against it. Knows neither torch nor onnx.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

SHAPE = (2, 25, 38)
"""Batch, height and width: two pictures, so that a batch is told from a picture, and sides no usual block divides."""
FLAT, TALL = (1, 3, 57), (1, 57, 3)
"""For chains that make large pictures of small ones: of the first, `resize: {width: 3000}` makes half a megapixel."""
MOST_BYTES, SAMPLE = 1 << 20, 1 << 16
"""An output of more bytes is not worth a large card: values spread evenly over it are kept, about as many as SAMPLE."""

MOST_LEVELS = 1  # a tie may round either way where float32 sums run in another order
LEAST_EQUAL = 0.98  # … but rarely: TF32 rounds one value in eight of a blur differently
FEW = 3
"""Values that may be off however few there are: a mosaic of blocks of 64 has six, and one tie is a sixth of it."""
MOST_RELATIVE = 1e-3  # of a measured mean square: 0.004 dB, where the promise is 0.01 dB
MOST_ABSOLUTE = 1e-9  # on the scale 0..1: 90 dB, where float32 has no digits left


@dataclass(frozen=True, slots=True)
class Sample:
    """Of an output of this shape every so many-th value."""

    shape: tuple[int, ...]
    every: int


@dataclass(frozen=True, slots=True)
class Golden:
    """An input, uint8 N×H×W×3, and the outputs by name that a graph must make of it, at least one.

    `relative` is how far numbers may be off; levels may be off by MOST_LEVELS. Of outputs in `samples` only a part is
    known.
    """

    batch: NDArray[np.uint8]
    outputs: Mapping[str, Array]
    relative: float = MOST_RELATIVE
    samples: Mapping[str, Sample] = field(default_factory=dict)


def pattern(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pictures uint8 N×H×W×3, the same on every machine: noise, where every pixel counts, and then a ramp."""
    count = np.prod(shape, dtype=np.int64) * 3
    noise = np.arange(count, dtype=np.uint32) * np.uint32(2654435761)  # Knuth's multiplicative hash, modulo 2^32
    pictures = (noise >> np.uint32(24)).astype(np.uint8).reshape(*shape, 3)
    _, height, width = shape
    ramp = (np.arange(height)[:, None] + np.arange(width))[..., None] * np.array([1, 2, 3])
    pictures[1::2] = (ramp % 256).astype(np.uint8)
    return pictures


def pack(golden: Golden) -> dict[str, object]:
    """What is written into a graph's card, as JSON."""
    outputs = {name: _packed(array) for name, array in golden.outputs.items()}
    return {"shape": list(golden.batch.shape[:3]), "outputs": outputs}


def _packed(array: Array) -> dict[str, object]:
    every = _stride(array.size, array.nbytes // SAMPLE) if array.nbytes > MOST_BYTES else 1
    return {
        "type": str(array.dtype),
        "shape": list(array.shape),
        "every": every,
        "data": base64.b64encode(zlib.compress(array.reshape(-1)[::every].tobytes())).decode("ascii"),
    }


def _stride(size: int, least: int) -> int:
    """Without a factor in common with the sides or the channels: no column and no channel is left out."""
    return next(every for every in range(least, 2 * least + 100) if math.gcd(every, size) == 1)


def none_made(why: str) -> dict[str, object]:
    """What is written into the card of a graph for which no golden picture was made."""
    return {"none": why}


def why_none(card: object) -> str:
    """Why a card has no golden picture, as its writer says; "" where it does not, and something is wrong with it."""
    return str(card.get("none", "")) if isinstance(card, dict) else ""


def unpack(card: object) -> Golden | None:
    """The golden picture of a card; None when it has none, or a damaged one."""
    try:
        batch, height, width = card["shape"]  # type: ignore[index]  # whatever JSON held: a fault is caught below
        told: Mapping[str, Any] = card["outputs"]  # type: ignore[index]
        outputs = {name: _array(one) for name, one in told.items()}
        samples = {
            name: Sample(tuple(one["shape"]), one["every"]) for name, one in told.items() if one.get("every", 1) != 1
        }
        picture = pattern((int(batch), int(height), int(width)))
    except (TypeError, KeyError, ValueError, AttributeError, zlib.error):
        return None
    return Golden(picture, outputs, samples=samples) if outputs else None


def _array(told: Mapping[str, Any]) -> Array:
    data = zlib.decompress(base64.b64decode(told["data"], validate=True))
    values = np.frombuffer(data, np.dtype(told["type"]))
    return values if told.get("every", 1) != 1 else values.reshape(told["shape"])


def difference(given: Mapping[str, Array], golden: Golden) -> str:
    """What is wrong with what a run gave, in words; nothing when all is as it must be."""
    for name, right in golden.outputs.items():
        if name not in given:
            return f"it gave no {name!r}"
        sample = golden.samples.get(name, Sample(right.shape, 1))
        if fault := _fault(given[name], right, sample, golden.relative):
            return f"{name} {fault}"
    return ""


def _fault(given: Array, right: Array, sample: Sample, relative: float) -> str:
    if given.shape != sample.shape:
        return f"has the shape {given.shape}, not {sample.shape}"
    if right.dtype == np.uint8 and given.dtype != right.dtype:
        return f"has the type {given.dtype}, not {right.dtype}"
    known = given if sample.every == 1 else given.reshape(-1)[:: sample.every]
    fault = _levels(known, right) if right.dtype == np.uint8 else _numbers(known, right, relative)
    return f"is {fault}" if fault else ""


def _levels(given: Array, right: Array) -> str:
    apart = np.abs(given.astype(np.int16) - right)
    if not apart.size or not apart.any():
        return ""
    single = _singles(right)
    off, equal = int((single & (apart != 0)).sum()), float((apart == 0).mean())
    rarely = equal >= LEAST_EQUAL or off <= max(FEW, (1 - LEAST_EQUAL) * single.sum())
    if apart.max() <= MOST_LEVELS and rarely:
        return ""
    return f"up to {apart.max()} of 255 levels off, {equal:.1%} of it equal"


def _singles(right: Array) -> NDArray[np.bool_]:
    """Which values of pictures stand for themselves: a flat block of a mosaic is one value, told many times."""
    single = np.ones(right.shape, np.bool_)
    if right.ndim == 4:
        single[:, 1:] &= right[:, 1:] != right[:, :-1]
        single[:, :, 1:] &= right[:, :, 1:] != right[:, :, :-1]
    return single


def _numbers(given: Array, right: Array, relative: float) -> str:
    if np.allclose(given, right, rtol=relative, atol=MOST_ABSOLUTE):
        return ""
    apart = np.abs(given.astype(np.float64) - right) / np.maximum(np.abs(right), MOST_ABSOLUTE)
    return f"up to {np.nan_to_num(apart, nan=np.inf).max():.2g} times itself off"
