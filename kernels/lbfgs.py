"""L-BFGS with a line search, over a state that can be saved after every step and continued bit for bit.

Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.4 for the direction. The step length is found by
bisection for the weak Wolfe conditions (Lewis and Overton, Mathematical Programming 141, 2013), which every smooth
function bounded below satisfies somewhere: the loss falls at each step, whatever the weights are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from kernels.tasks import State

if TYPE_CHECKING:
    from torch import Tensor

ARMIJO, CURVATURE = 1e-4, 0.9  # the usual constants of the Wolfe conditions
TINY = 1e-25  # a change of gradient whose squares are below float32 is none
TRIES = 20  # evaluations of one line search; 1 or 2 are usual
WINDOW = 5  # steps over which a loss is looked at to say whether it has settled


@dataclass(frozen=True, slots=True)
class Point:
    """The function at `x`: its loss, its gradient, and the terms of the loss that somebody wants to know."""

    x: Tensor
    loss: float
    gradient: Tensor
    terms: list[float]


Evaluate: TypeAlias = Callable[["Tensor"], Point]


def begin(point: Point) -> State:
    """The state of an optimiser that stands at `point` and has made no step."""
    return {"step": 0, "stuck": False, "pairs": [], "past": [point.loss], **_kept(point)}


def advance(state: State, evaluate: Evaluate, curvature: Tensor, memory: int) -> None:
    """Make one step; the loss never rises. `curvature` is a positive guess at the Hessian's diagonal at the point.

    If nothing lower can be found, the step stays where it is and `stuck` becomes true. `memory` is the number of
    earlier steps that are remembered. Tensors are replaced, not written to, so a copy of the dict alone is a snapshot.
    """
    here = Point(state["x"], state["loss"], state["gradient"], state["terms"])
    found = _search(here, evaluate, _direction(here, state["pairs"], curvature))
    if found is None and state["pairs"]:  # rounding may have spoilt the memory: once more without it
        state["pairs"] = []
        found = _search(here, evaluate, _direction(here, [], curvature))
    if found is not None:
        state["pairs"] = _remembered(state["pairs"], here, found, memory)
        state.update(_kept(found))
    state["stuck"] = found is None
    state["step"] += 1
    state["past"] = [*state["past"][-WINDOW:], state["loss"]]


def settled(past: list[float], fall: float) -> bool:
    """Whether the last WINDOW steps together lowered the loss by the share `fall` of it or less."""
    return len(past) > WINDOW and past[-1 - WINDOW] - past[-1] <= fall * past[-1 - WINDOW]


def _kept(point: Point) -> dict[str, Any]:
    return {"x": point.x, "loss": point.loss, "gradient": point.gradient, "terms": point.terms}


def _remembered(pairs: list[Any], before: Point, after: Point, memory: int) -> list[Any]:
    """The pairs with that of the newest step; one without positive curvature says nothing and is left out."""
    step, change = after.x - before.x, after.gradient - before.gradient
    product, squares = dot(step, change), dot(change, change)
    if product <= 1e-10 * squares or squares < TINY:
        return pairs
    return [*pairs, {"step": step, "change": change, "product": product}][-memory:]


def _direction(here: Point, pairs: list[Any], curvature: Tensor) -> Tensor:
    """Minus the gradient under the inverse Hessian that the pairs tell of: the two-loop recursion."""
    rest, shares = here.gradient.clone(), list[float]()
    for pair in reversed(pairs):
        shares.append(dot(pair["step"], rest) / pair["product"])
        rest.add_(pair["change"], alpha=-shares[-1])
    rest.div_(curvature)
    if pairs:
        change = pairs[-1]["change"]
        rest.mul_(pairs[-1]["product"] / dot(change / curvature, change))
    for pair, share in zip(pairs, reversed(shares), strict=True):
        rest.add_(pair["step"], alpha=share - dot(pair["change"], rest) / pair["product"])
    return rest.neg_()


def _search(here: Point, evaluate: Evaluate, direction: Tensor) -> Point | None:
    """The first point found along the direction that satisfies the weak Wolfe conditions.

    After TRIES evaluations the last one that lowers the loss enough, and None if there was none.
    """
    slope, length = dot(here.gradient, direction), 1.0
    shortest, longest, best = 0.0, None, None
    for _ in range(TRIES if slope < 0 else 0):
        point = evaluate(here.x + length * direction)
        if not point.loss <= here.loss + ARMIJO * length * slope:  # also where the loss is no number
            longest = length
        elif dot(point.gradient, direction) < CURVATURE * slope:
            shortest, best = length, point
        else:
            return point
        length = 2 * length if longest is None else (shortest + longest) / 2
    return best


def dot(one: Tensor, other: Tensor) -> float:
    """The scalar product; each row in float32 by one thread, the rows in float64.

    Not BLAS's: its result depends on where in memory a tensor lies, and one read from a file lies elsewhere.
    """
    return float((one * other).sum(-1).double().sum())
