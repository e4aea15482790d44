"""Where the search for a hybrid begins: a picture, as the free variables x whose logistic function it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.hybrid_loss import Recipe
from kernels.shifted_blur import shifted_blur

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 0.02  # of black and white: x is infinite there, and near them its gradient is too small to come back by


def linear_hybrid(near: Tensor, far: Tensor, recipe: Recipe) -> Tensor:
    """A + c·G(B − A) on the scale 0..1 and a little beyond: float32 3×H×W.

    c = far_weight/(near_weight + far_weight) is the best share at the
    lowest frequencies if gamma is left aside: with a far weight that prevails it is
    A − G(A) + G(B), the classical hybrid of Oliva, Torralba and Schyns (SIGGRAPH 2006). With weights of 1 : 1 that one
    has nearly twice the loss of the best picture, this one two per cent more.
    """
    share = recipe.far_weight / (recipe.near_weight + recipe.far_weight)
    return near + share * shifted_blur(far - near, recipe.taps)


STARTS: Mapping[str, Callable[[Tensor, Tensor, Recipe], Tensor]] = {
    "linear": linear_hybrid,
    "grey": lambda near, far, recipe: torch.full_like(near, 0.5),
    "near": lambda near, far, recipe: near,
    "far": lambda near, far, recipe: far,
}


def start(name: str, near: Tensor, far: Tensor, recipe: Recipe) -> Tensor:
    """x for the picture called `name` in STARTS; grey is x = 0 exactly. `near` and `far` are 3×H×W on 0..1."""
    return torch.logit(STARTS[name](near, far, recipe).clamp(MARGIN, 1 - MARGIN))
