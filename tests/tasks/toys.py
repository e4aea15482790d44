"""Tasks that misbehave on demand; the tests put this file into a copy of `kernels/`.

What they did they write into `diary` in the working directory, a line each: `wander: from 17`, `raise: falls at 3`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernels.backend import torch
from kernels.spec import Choice, Integer, Number, Progress, Result, State, Steps, Task, task
from kernels.tasks import TaskRefused

if TYPE_CHECKING:
    from torch import Tensor

HOARD = 64 << 30


@task(
    "wander",
    Task(inputs=("picture",), beside=("noise",)),
    steps=Integer(50, low=1, high=100_000, unit="steps"),
    pause=Number(0, low=0, high=60, unit="s"),
    slow=Integer(0, low=0, high=100_000, unit="steps", doc="the first step that takes the pause; 0: all of them"),
    pace=Number(0, low=0, high=60, unit="s", doc="what the steps before that take"),
)
def wander(inputs: Mapping[str, Tensor], state: State, *, steps: int, pause: float, slow: int, pace: float) -> Steps:
    """Follows noise with Adam and keeps an average: everything that a state may hold."""
    target = inputs["picture"].float() / 255
    generator = torch.Generator()
    picture = torch.full_like(target, 0.5, requires_grad=True)
    optimizer = Adam(picture, rate=0.02)
    if state:
        generator.set_state(state["random"])
        optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            picture.copy_(state["picture"])
    else:
        generator.manual_seed(7)
        state.update(step=0, average=torch.zeros_like(target))
    note(f"wander: from {state['step']}")
    for step in range(state["step"] + 1, steps + 1):
        picture.grad = None
        noise = torch.randn(target.shape, generator=generator) / 30
        loss = ((picture + noise - target) ** 2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        average = 0.9 * state["average"] + 0.1 * picture.detach()
        if step == slow:
            note(f"wander: pauses at {step}")
        time.sleep(pause if step >= slow else pace)
        state.update(
            step=step,
            loss=loss.detach(),
            average=average,
            picture=picture.detach().clone(),
            optimizer=optimizer.state_dict(),
            random=generator.get_state(),
        )
        far = (picture.detach() - 0.5).abs().mean()
        yield Progress(step, steps, {"loss": loss.detach(), "far": far}, lambda: bytes_of(picture.detach()))
    shown = torch.randn(target.shape, generator=generator) / 8 + 0.5
    return Result(bytes_of(state["average"]), {"end": float(state["loss"])}, {"noise": bytes_of(shown)})


@task(
    "stumble",
    Task(inputs=("picture",), savings=("half of the rows", "a quarter of the rows")),
    how=Choice(
        "raise",
        ("raise", "refuse", "memory", "greedy", "hoard", "hang", "signal", "exit", "chatter", "wrong", "deaf", "none"),
    ),
    at=Integer(3, low=1, high=1000, unit="steps"),
    times=Integer(1, low=1, high=1000, doc="how often, counted in the diary"),
    pause=Number(0, low=0, high=60, unit="s"),
)
def stumble(
    inputs: Mapping[str, Tensor], state: State, *, how: str, at: int, times: int, pause: float, thrift: int
) -> Steps:
    """Makes six steps, and falls at one of them so and so often."""
    note(f"{how}: from {state.get('step', 0)}, thrift {thrift}")
    for step in range(state.get("step", 0) + 1, 7):
        time.sleep(pause)
        state["step"] = step
        if step == at and falls(how) < times and not (how in ("memory", "hoard") and thrift == 2):
            note(f"{how}: falls at {step}")
            FALLS[how]()
        yield Progress(step, 6, {"loss": 1.0 / step}, lambda: inputs["picture"])
    return Result(inputs["picture"], {"thrift": thrift})


class Adam:
    """As in torch, and with a state of that shape. Making one of torch's own loads its compiler, which doubles the
    second that a worker takes to start. That torch's goes on from a checkpoint is tested where checkpoints are.
    """

    def __init__(self, weight: Tensor, rate: float) -> None:
        self.weight = weight
        self.kept = {"step": torch.zeros(()), "mean": torch.zeros_like(weight), "square": torch.zeros_like(weight)}
        self.group: dict[str, Any] = {"rate": rate, "betas": (0.9, 0.999), "eps": 1e-8, "foreach": None, "params": [0]}

    def step(self) -> None:
        """One step along the gradient."""
        (first, second), gradient = self.group["betas"], self.weight.grad
        step, mean, square = self.kept["step"], self.kept["mean"], self.kept["square"]
        assert gradient is not None
        step += 1
        mean.mul_(first).add_(gradient, alpha=1 - first)
        square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = (square / (1 - second**step)).sqrt() + self.group["eps"]
        with torch.no_grad():
            self.weight -= self.group["rate"] * mean / (1 - first**step) / spread

    def state_dict(self) -> dict[str, Any]:
        """All that it needs to go on."""
        return {"state": {0: self.kept}, "param_groups": [self.group]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        (self.kept,), (self.group,) = state["state"].values(), state["param_groups"]


def note(line: str) -> None:
    """Write a line into the diary."""
    with Path("diary").open("a") as file:
        file.write(f"{line}\n")


def falls(how: str) -> int:
    """How often it fell in this way so far, over all processes."""
    return Path("diary").read_text().count(f"{how}: falls")


def _raise() -> None:
    raise ZeroDivisionError("it does not add up")


def _refuse() -> None:
    raise TaskRefused("the picture is not to its taste; give another")


def _memory() -> None:
    raise MemoryError


def _hoard() -> None:
    torch.empty(HOARD, dtype=torch.uint8)


def _hang() -> None:
    time.sleep(3600)


def _signal() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit() -> None:
    os._exit(3)


def _chatter() -> None:
    print("{a line that is no message}", flush=True)
    os.write(1, b"{nor is this}\n")


def _wrong() -> None:
    """Writes where the reports go: the one pipe beside the standard streams."""
    for descriptor in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:"):
                os.write(descriptor, b"{a line that is no message}\n")
        except OSError:
            continue


def _deaf() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


FALLS: dict[str, Callable[[], None]] = {
    "raise": _raise,
    "refuse": _refuse,
    "memory": _memory,
    "greedy": _memory,
    "hoard": _hoard,
    "hang": _hang,
    "signal": _signal,
    "exit": _exit,
    "chatter": _chatter,
    "wrong": _wrong,
    "deaf": _deaf,
    "none": lambda: None,
}


def bytes_of(picture: Tensor) -> Tensor:
    """Values 0..1 as bytes."""
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)
