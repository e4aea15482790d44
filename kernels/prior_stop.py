"""When a prior has learned the picture and begins to learn the damage: early stopping by one of two signals.

**Held-out pixels**: a few that the network is not trained on. It can guess what a picture has there, and cannot guess
noise that is drawn for each pixel alone; when their error rises, it learns that (as in Batson and Royer: Noise2Self,
ICML 2019). The average is taken where the error is least.

**Variance**: while a network learns the picture its answers come to rest; when it begins with the rest, they move again
(Wang, Li, Zhuang, Chen, Liang, Sun: Early stopping for deep image prior, TMLR 2023; this is their ES-EMV, whose
exponential variance needs one picture where a window would need a hundred).

Nothing here is read before somebody looks: a card would have to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.tasks import State

if TYPE_CHECKING:
    from torch import Tensor

LAG = 100
"""Steps by which the variance is ahead of the average: an average lags behind what it averages. Of photographs with
noise it was best 50 to 320 steps after the least variance, and up to 2.5 dB worse at it: see
docs/decisions/021-prior-stop.md."""
LOOK = 10
"""Steps between two looks at whether it is time to stop."""


def note(state: State, step: int, signal: Tensor, picture: Tensor, *, lag: int, fixed: bool) -> None:
    """A step was made: its number, counted from 1, the signal then, and the average picture.

    `state` is empty at first; then it has the least signal, the step of it (`at`), the picture to be given, `lag` steps
    later, and the step of that (`taken`). Up to step `lag` the signal says nothing. If the number of steps is `fixed`
    the last picture is given.
    """
    now = torch.full_like(signal, step)
    if fixed or step <= max(lag, 1):
        state.update(least=signal, at=now, best=picture, taken=now)
        return
    better = signal < state["least"]
    state.update(least=torch.where(better, signal, state["least"]), at=torch.where(better, now, state["at"]))
    near = now - state["at"] <= lag
    state.update(best=torch.where(near, picture, state["best"]), taken=torch.where(near, now, state["taken"]))


def settled(state: State, step: int, patience: int) -> bool:
    """Whether the signal has not been less for `patience` steps; looked at every LOOK steps."""
    return step > 0 and step % LOOK == 0 and step - int(state["at"]) >= patience
