"""Tasks that misbehave on demand; the tests put this file into a copy of `kernels/`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.spec import Choice, Integer, Number, Progress, Result, State, Steps, Task, task
from kernels.tasks import TaskRefused

if TYPE_CHECKING:
    from torch import Tensor


@task(
    "wander",
    Task(inputs=("picture",), beside=("noise",)),
    steps=Integer(50, low=1, high=100_000, unit="steps"),
    pause=Number(0, low=0, high=60, unit="s"),
)
def wander(inputs: Mapping[str, Tensor], state: State, *, steps: int, pause: float) -> Steps:
    """Follows noise with Adam and keeps an average: everything that a state may hold."""
    target = inputs["picture"].float() / 255
    generator = torch.Generator()
    picture = torch.full_like(target, 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([picture], lr=0.02)
    if state:
        generator.set_state(state["random"])
        optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            picture.copy_(state["picture"])
    else:
        generator.manual_seed(7)
        state.update(step=0, average=torch.zeros_like(target))
    for step in range(state["step"] + 1, steps + 1):
        noise = torch.randn(target.shape, generator=generator) / 30
        loss = ((picture + noise - target) ** 2).mean()
        (picture.grad,) = torch.autograd.grad(loss, [picture])
        optimizer.step()
        average = 0.9 * state["average"] + 0.1 * picture.detach()
        time.sleep(pause)
        state.update(
            step=step,
            average=average,
            picture=picture.detach().clone(),
            optimizer=optimizer.state_dict(),
            random=generator.get_state(),
        )
        yield Progress(step, steps, {"loss": loss.detach()}, lambda: bytes_of(picture.detach()))
    shown = torch.randn(target.shape, generator=generator) / 8 + 0.5
    return Result(bytes_of(state["average"]), {"end": float(loss.detach())}, {"noise": bytes_of(shown)})


@task(
    "stumble",
    Task(inputs=("picture",), savings=("half of the rows", "a quarter of the rows")),
    how=Choice("raise", ("raise", "refuse", "memory", "hang", "signal", "exit", "chatter", "wrong", "deaf", "none")),
    at=Integer(3, low=1, high=1000, unit="steps"),
    times=Integer(1, low=1, high=1000, doc="how often, counted in the file `stumbled` of the working directory"),
)
def stumble(inputs: Mapping[str, Tensor], state: State, *, how: str, at: int, times: int, thrift: int) -> Steps:
    """Makes six steps, and falls at one of them so and so often."""
    for step in range(state.get("step", 0) + 1, 7):
        state["step"] = step
        if step == at and stumbles() < times and not (how == "memory" and thrift == 2):
            with Path("stumbled").open("a") as file:
                file.write(f"{how} {thrift}\n")
            FALLS[how]()  # type: ignore[no-untyped-call]
        yield Progress(step, 6, {"loss": 1.0 / step}, lambda: inputs["picture"])
    return Result(inputs["picture"], {"thrift": thrift})


def stumbles() -> int:
    """How often it fell so far, over all processes."""
    file = Path("stumbled")
    return len(file.read_text().splitlines()) if file.exists() else 0


def _raise() -> None:
    raise ZeroDivisionError("it does not add up")


def _refuse() -> None:
    raise TaskRefused("the picture is not to its taste; give another")


def _memory() -> None:
    raise MemoryError


def _hang() -> None:
    time.sleep(3600)


def _signal() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit() -> None:
    os._exit(3)


def _chatter() -> None:
    print("{a line that is no message}", flush=True)


def _wrong() -> None:
    os.write(3, b"{a line that is no message}\n")


def _deaf() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


FALLS = {
    "raise": _raise,
    "refuse": _refuse,
    "memory": _memory,
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
