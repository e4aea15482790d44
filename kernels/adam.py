"""Adam (Kingma and Ba 2015, algorithm 1) over a state that can be saved after every step. Needs two tensors more."""

from __future__ import annotations

from kernels.lbfgs import Evaluate, Point
from kernels.tasks import State

BETA1, BETA2 = 0.9, 0.999  # as in the paper
EPSILON = 1e-8  # of the mean gradient at the start: that of a large picture is small everywhere


def begin(point: Point) -> State:
    """The state of an optimiser that stands at `point` and has made no step."""
    return {
        "step": 0, "x": point.x, "gradient": point.gradient, "loss": point.loss, "terms": point.terms,
        "mean": point.gradient.new_zeros(point.gradient.shape),
        "square": point.gradient.new_zeros(point.gradient.shape),
        "epsilon": EPSILON * float(point.gradient.abs().mean()) or EPSILON,
    }  # fmt: skip


def advance(state: State, evaluate: Evaluate, rate: float) -> None:
    """Make one step of length `rate`, in the unit of x, and evaluate where it leads."""
    step, gradient = state["step"] + 1, state["gradient"]
    mean = state["mean"].lerp(gradient, 1 - BETA1)
    square = state["square"].mul(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    spread = (square / (1 - BETA2**step)).sqrt_().add_(state["epsilon"])
    point = evaluate(state["x"].addcdiv(mean, spread, value=-rate / (1 - BETA1**step)))
    state.update(step=step, mean=mean, square=square, x=point.x)
    state.update(gradient=point.gradient, loss=point.loss, terms=point.terms)
