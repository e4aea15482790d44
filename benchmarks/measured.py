"""Tasks run as the worker runs them, with the time of each step, and the photographs they are run on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from daemon.life.allocator import give_pages_back
from daemon.tasks.process import WAITING
from kernels.chain import parse_chain
from kernels.spec import operators
from kernels.tasks import Progress, Result


def wait_as_a_worker() -> None:
    """Start this program anew where its threads do not wait for each other as a worker's do: it is read at loading."""
    if not WAITING.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, os.environ | WAITING)


def square(name: str, side: int) -> Tensor:
    """A photograph of scikit-image, its middle cut out and resized: uint8 side×side×3."""
    return square_of(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"), side)


def square_of(picture: Image.Image, side: int) -> Tensor:
    """The middle of a picture, likewise."""
    short, (width, height) = min(picture.size), picture.size
    left, top = (width - short) // 2, (height - short) // 2
    middle = picture.crop((left, top, left + short, top + short))
    return torch.from_numpy(np.array(middle.resize((side, side), Image.Resampling.LANCZOS)))


def clock(device: torch.device) -> float:
    """Seconds, once a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass
class Timed:
    """A run: each step's loss and the seconds it was told after, and the result; None if it was broken off."""

    result: Result | None = None
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def until(self, loss: float) -> float:
        """Seconds until a loss was reached; +∞ if it never was."""
        reached = (s for s, told in zip(self.seconds, self.losses, strict=True) if told <= loss)
        return next(reached, float("inf"))

    @property
    def record(self) -> dict[str, Any]:
        """What is worth knowing of the result."""
        assert self.result is not None
        return dict(self.result.record)


def steps_of(
    name: str, inputs: Mapping[str, Tensor], parameters: Mapping[str, Any], **machine: int
) -> Iterator[Progress]:
    """The task as the worker runs it; `machine` is what that adds to the parameters."""
    (step,) = parse_chain({name: dict(parameters)})
    steps: Iterator[Progress] = operators()[name].function(inputs, {}, **machine, **dict(step.parameters))
    return steps


def timed(steps: Iterator[Progress]) -> Timed:
    """A task from start to end, its memory kept as a worker keeps it."""
    begun, run, made = time.perf_counter(), Timed(), 0
    while True:
        try:
            told = next(steps)
        except StopIteration as end:
            run.result = end.value
            return run
        if told.step == made:  # a sign of life
            give_pages_back()
            continue
        made = told.step
        run.losses.append(float(told.losses["loss"]))
        run.seconds.append(time.perf_counter() - begun)


def peak_memory() -> float:
    """The most resident memory this program has had, in MiB. Not ru_maxrss: that includes its parent's at the fork."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
