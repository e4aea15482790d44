"""Ways to run the task in this process, and pictures to run it on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from kernels.tasks import State
from tests.box import REPOSITORY
from tests.kernels.hybrids import photograph
from tests.task_runs import Run, started, told_by

PAIRS = (("astronaut", "coffee"), ("chelsea", "night"), ("rocket", "astronaut"))
"""Content and style: photographs of scikit-image, and the painting that is shipped."""


def pair(names: tuple[str, str] = PAIRS[0], height: int = 96, width: int = 96) -> dict[str, Tensor]:
    content, style = (shipped(height, width) if name == "night" else photograph(name, height, width) for name in names)
    return {"content": content, "style": style}


def shipped(height: int, width: int) -> Tensor:
    """The style picture of the shipped config.yaml, stretched to a size."""
    with Image.open(REPOSITORY / "examples" / "night.jpg") as picture:
        return torch.from_numpy(np.array(picture.resize((width, height), Image.Resampling.LANCZOS)))


def run(inputs: Mapping[str, Tensor], state: State | None = None, keep: bool = False, **p: Any) -> Run:
    """The task from a state to its end; with `keep`, a copy of the state whenever it told something."""
    state = {} if state is None else state
    made = state["search"]["taken"] if state else 0
    steps, found = started("style_transfer", inputs, state, **p), Run()
    for progress in told_by(steps, found):
        found.told.append(progress)
        if progress.step > made:  # otherwise it is a sign of life
            made = progress.step
            found.losses.append({name: float(loss) for name, loss in progress.losses.items()})
        if keep:
            found.snapshots.append(copy.deepcopy(state))
    return found


def same(one: Tensor, other: Tensor) -> bool:
    return bool(torch.equal(one, other))
