"""The loss whose minimum is a hybrid picture, with its gradient written out: two blurs an evaluation.

x is free and y = σ(x), the logistic function, is the picture on the scale 0..1. With G the blur and γ the gamma:

    near = Σ (y − A)²        far = Σ (u − T)²,  u = G(y^γ)^(1/γ),  T = G(B^γ)^(1/γ)
    loss = near_weight · near + far_weight · far

Sums run over all pixels and channels. The recipe is that of «Как можно взять tensorflow и смешать две картинки в одну»,
which calls the terms precise and gauss, and leaves the gradient to automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.shifted_blur import shifted_blur

if TYPE_CHECKING:
    from torch import Tensor

DARK = 1e-30  # the least blurred light: v^(1/γ − 1) has no value at 0, and below 1e-38 float32 has none to give


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a hybrid is made by: the weights of its two terms, the kernel of the far one, and the gamma of the light."""

    near_weight: float
    far_weight: float
    taps: Sequence[float]
    gamma: float

    @property
    def reach(self) -> int:
        """How many pixels away a value changes the gradient: two radii of the kernel."""
        return 2 * (len(self.taps) // 2)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The loss at one x. `near` and `far` are its terms row by row, float64 of H entries; `gradient` is as x."""

    near: Tensor
    far: Tensor
    gradient: Tensor

    def terms(self, rows: slice = slice(None)) -> Tensor:
        """The two terms over these rows, near and far: float64 of 2 entries, unread."""
        return torch.stack((self.near[rows].sum(), self.far[rows].sum()))


class HybridLoss:
    """The loss of a hybrid of `near` and `far`, float32 3×H×W planes on the scale 0..1, as a function of x."""

    def __init__(self, near: Tensor, far: Tensor, recipe: Recipe) -> None:
        self.near = near
        self.recipe = recipe
        self.target = shifted_blur(far**recipe.gamma, recipe.taps) ** (1 / recipe.gamma)

    def __call__(self, x: Tensor) -> Evaluation:
        """The terms at x, 3×H×W, and the gradient of the weighted loss."""
        recipe, y = self.recipe, torch.sigmoid(x)
        # exp(γ·log y): torch's own power takes a quarter longer. Where y has underflowed, light is 0 as it should.
        light = torch.exp(recipe.gamma * torch.log(y))
        blurred = shifted_blur(light, recipe.taps).clamp_(min=DARK)
        seen = torch.exp(torch.log(blurred) / recipe.gamma)
        off_far, off_near = seen - self.target, y - self.near
        far, near = row_sums(off_far), row_sums(off_near)
        # d seen/d blurred = seen/(γ·blurred) and d light/dx = γ·light·(1 − y): γ cancels, and no power of 0 is left.
        back = shifted_blur(off_far.mul_(seen).div_(blurred), recipe.taps).mul_(light).mul_(2 * recipe.far_weight)
        gradient = off_near.mul_(y).mul_(2 * recipe.near_weight).add_(back).mul_(1 - y)
        return Evaluation(near, far, gradient)

    def curvature(self, x: Tensor) -> Tensor:
        """The diagonal of the Hessian, roughly: what it would be without blur and gamma; an optimiser's first scale.

        Bounded below, or the saturated pixels would leap. Without it L-BFGS needs half as many evaluations again.
        """
        y = torch.sigmoid(x)
        scale = 2 * (self.recipe.near_weight + self.recipe.far_weight)
        return (y * (1 - y)).clamp_(min=0.1).square_().mul_(scale)


def row_sums(values: Tensor) -> Tensor:
    """Σ v² over each row of 3×H×W float32 values: float64 of H entries.

    A row is added up by one thread, so that the sum does not depend on how many there are.
    """
    return (values * values).sum(2).double().sum(0)
