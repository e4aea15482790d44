"""Ways to run the task in this process, and damaged photographs to run it on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.deep_image_prior import precision_for
from kernels.tasks import State
from tests.kernels.hybrids import photograph
from tests.task_runs import Run, started, told_by

needs_bfloat16 = pytest.mark.skipif(
    precision_for(torch.device("cpu")) != "bfloat16",
    reason="this processor does not compute in bfloat16 (no avx512_bf16, no amx_bf16)",
)


def noisy(name: str = "chelsea", height: int = 64, width: int = 64, sigma: float = 25) -> tuple[Tensor, Tensor]:
    """A photograph, and the same with noise."""
    whole = photograph(name, height, width)
    drawn = np.random.default_rng(0).normal(0, sigma, whole.shape)
    return whole, torch.from_numpy(np.clip(np.round(whole.numpy() + drawn), 0, 255).astype(np.uint8))


def decibels(picture: Tensor, whole: Tensor) -> float:
    return float(-10 * torch.log10(((picture.double() - whole) / 255).square().mean()))


def run(
    inputs: Mapping[str, Tensor], state: State | None = None, keep: bool = False, look: bool = False, **p: Any
) -> Run:
    """The task from a state to its end; with `keep` a copy of each state, with `look` each preview."""
    state = {} if state is None else state
    steps, found = started("deep_image_prior", inputs, state, **p), Run()
    for progress in told_by(steps, found):
        found.told.append(progress)
        if not progress.losses:  # a sign of life
            continue
        found.losses.append({name: float(loss) for name, loss in progress.losses.items()})
        if look:
            found.previews.append(progress.preview())
        if keep:
            found.snapshots.append(copy.deepcopy(state))
    return found
