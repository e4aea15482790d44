"""Pictures to make hybrids of, ways to run the task, and its recipe a second time: float64 and automatic gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from kernels.chain import parse_chain
from kernels.spec import operators
from kernels.tasks import Progress, Result, State


def photograph(name: str, height: int, width: int) -> Tensor:
    """A photograph of scikit-image stretched to a size, uint8 H×W×3."""
    picture = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    return torch.from_numpy(np.array(picture.resize((width, height), Image.Resampling.LANCZOS)))


def pair(height: int, width: int) -> dict[str, Tensor]:
    return {"near": photograph("astronaut", height, width), "far": photograph("chelsea", height, width)}


@dataclass(frozen=True)
class Run:
    """All that a run told."""

    losses: list[dict[str, float]]
    result: Result
    snapshots: list[State]

    @property
    def record(self) -> Mapping[str, Any]:
        return self.result.record


def run(inputs: Mapping[str, Tensor], state: State | None = None, keep: bool = False, thrift: int = 0, **p: Any) -> Run:
    """The task from a state to its end; with `keep`, a copy of the state at each step."""
    losses, snapshots, state = list[dict[str, float]](), list[State](), {} if state is None else state
    steps = started(inputs, state, thrift, **p)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return Run(losses, end.value, snapshots)
        assert 1 <= progress.step <= progress.steps
        losses.append({name: float(value) for name, value in progress.losses.items()})
        if keep:
            snapshots.append(copy.deepcopy(state))


def started(inputs: Mapping[str, Tensor], state: State, thrift: int = 0, **parameters: Any) -> Iterator[Progress]:
    (step,) = parse_chain({"hybrid": parameters})
    steps: Iterator[Progress] = operators()["hybrid"].function(inputs, state, thrift=thrift, **dict(step.parameters))
    return steps


def taps64(sigma: float, count: int) -> Tensor:
    offsets = torch.arange(count, dtype=torch.float64) - count // 2
    taps = torch.exp(-(offsets**2) / (2 * sigma**2))
    return taps / taps.sum()


def blur64(planes: Tensor, taps: Tensor) -> Tensor:
    """Two convolutions with zeros beyond the rim."""
    count = len(taps)
    columns = torch.nn.functional.conv2d(planes[:, None], taps.view(1, 1, count, 1), padding=(count // 2, 0))
    return torch.nn.functional.conv2d(columns, taps.view(1, 1, 1, count), padding=(0, count // 2))[:, 0]


def planes64(picture: Tensor) -> Tensor:
    return picture.permute(2, 0, 1).double() / 255


def recipe64(x: Tensor, inputs: Mapping[str, Tensor], sigma: float = 3, count: int = 15) -> tuple[Tensor, Tensor]:
    """The recipe as it is written: the precise and the blurred term at x, in float64."""
    taps, y = taps64(sigma, count), torch.sigmoid(x)
    near, far = planes64(inputs["near"]), planes64(inputs["far"])
    seen = blur64(y**2.2, taps) ** (1 / 2.2)
    label = blur64(far**2.2, taps) ** (1 / 2.2)
    return ((y - near) ** 2).sum(), ((seen - label) ** 2).sum()


def descent64(inputs: Mapping[str, Tensor], near_weight: float, steps: int) -> list[tuple[float, float]]:
    """Plain gradient descent from grey at rate 0.3: the two terms before each step, and after the last."""
    x = torch.zeros_like(planes64(inputs["near"]), requires_grad=True)
    terms = list[tuple[float, float]]()
    for _ in range(steps):
        precise, blurred = recipe64(x, inputs)
        terms.append((precise.item(), blurred.item()))
        (gradient,) = torch.autograd.grad(near_weight * precise + blurred, x)
        with torch.no_grad():
            x -= 0.3 * gradient
    precise, blurred = recipe64(x, inputs)
    return [*terms, (precise.item(), blurred.item())]


def same_state(one: Any, other: Any) -> bool:
    """Whether two states are equal to the last bit."""
    if isinstance(one, Tensor):
        return bool(torch.equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_state(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_state, one, other))
    return bool(one == other)


def kinds(state: Any) -> set[type]:
    """The kinds of values that a state holds."""
    if isinstance(state, dict):
        return set().union(*map(kinds, state.values()))
    if isinstance(state, list):
        return set().union(set(), *map(kinds, state))
    return {type(state)}
