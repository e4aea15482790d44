"""Adam (Kingma and Ba 2015, algorithm 1) over a state that can be saved after every step. Needs two tensors more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.lbfgs import Evaluate, Point
from kernels.tasks import State

if TYPE_CHECKING:
    from torch import Tensor

BETA1, BETA2 = 0.9, 0.999  # as in the paper
EPSILON = 1e-8  # as in the paper; for `begin`, of the mean gradient there: that of a large picture is small everywhere


def begin(point: Point) -> State:
    """The state of an optimiser that stands at `point` and has made no step."""
    epsilon = EPSILON * float(point.gradient.abs().mean()) or EPSILON
    return {
        "x": point.x, "gradient": point.gradient, "loss": point.loss, "terms": point.terms,
        **moments(point.x, epsilon),
    }  # fmt: skip


def advance(state: State, evaluate: Evaluate, rate: float) -> None:
    """Make one step of length `rate`, in the unit of x, and evaluate where it leads."""
    point = evaluate(moved(state, state["x"], state["gradient"], rate))
    state.update(x=point.x, gradient=point.gradient, loss=point.loss, terms=point.terms)


def moments(x: Tensor, epsilon: float = EPSILON) -> State:
    """What Adam remembers, before its first step: for a state of one's own."""
    return {"step": 0, "mean": torch.zeros_like(x), "square": torch.zeros_like(x), "epsilon": epsilon}


def moved(state: State, x: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """Where a step from x leads; `state` then remembers the gradient and counts the step."""
    step = state["step"] + 1
    mean = state["mean"].lerp(gradient, 1 - BETA1)
    square = state["square"].mul(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    spread = (square / (1 - BETA2**step)).sqrt_().add_(state["epsilon"])
    state.update(step=step, mean=mean, square=square)
    return x.addcdiv(mean, spread, value=-rate / (1 - BETA1**step))
