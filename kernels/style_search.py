"""The search for the picture: size by size, coarse to fine, each beginning with the last one's result."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from kernels import adam, lbfgs
from kernels.features.trunk import Trunk
from kernels.style_grams import remembered_grams
from kernels.style_objective import Objective, Recipe
from kernels.style_pictures import Pictures, with_noise
from kernels.style_plan import Size
from kernels.tasks import Progress, State

if TYPE_CHECKING:
    from torch import Tensor

FIRST_MOVE = 3.0
"""Levels that L-BFGS moves a pixel at its first step, in the mean; from then on it knows better."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, by which loss in which network, size by size. `rate` is Adam's, in levels.

    It begins with the content, its colours moved towards those of the style by the share `palette`: where a pixel is as
    bright as the network can tell it has no gradient, and would keep its colour. Then comes a share `noise` of white
    noise, made from `seed`.
    """

    pictures: Pictures
    recipe: Recipe
    trunk: Trunk
    sizes: Sequence[Size]
    rate: float
    palette: float
    noise: float
    seed: int


Path: TypeAlias = Generator[Progress, None, "Tensor"]


def search(wanted: Search, state: State) -> Path:
    """Every step at every size; the picture, uint8 H×W×3.

    `state` has the number of the size, `x` to begin it with, and the solver's state once it has begun.
    """
    if not state:
        state.update(number=0, taken=0, x=None, solver=None, terms=None)
    steps = sum(size.steps for size in wanted.sizes)
    before = list(accumulate((size.work for size in wanted.sizes), initial=0))
    while (number := state["number"]) < len(wanted.sizes):
        descent = _Descent(wanted, wanted.sizes[number], state)
        for step in descent.steps():
            state["taken"] += step
            share = (before[number] + descent.work) / before[-1]
            yield Progress(state["taken"], steps, descent.losses(), descent.preview, share)
        state.update(number=number + 1, x=state["solver"]["x"], terms=state["solver"]["terms"], solver=None)
    return wanted.pictures.finished(state["x"])


class _Descent:
    """The steps at one size, from the state as it is."""

    def __init__(self, wanted: Search, size: Size, state: State) -> None:
        self._wanted, self._size = wanted, size
        content = wanted.pictures.content_at(size.height, size.width)
        style = wanted.pictures.style_for(content)
        grams = remembered_grams(wanted.trunk, style, tuple(wanted.recipe.style), size.side)
        self._objective = Objective(wanted.trunk, wanted.recipe, content, grams, size.side)
        self._state = state
        self._start = self._first(state["x"], content, style) if state["solver"] is None else None

    def _first(self, before: Tensor | None, content: Tensor, style: Tensor) -> Tensor:
        """The picture to begin with: that of the size before, or where there is none the content, painted over."""
        pictures = self._wanted.pictures
        if before is None:
            x = with_noise(
                pictures.recolored(content, style, self._wanted.palette), self._wanted.noise, self._wanted.seed
            )
        else:
            x = pictures.refined(before, content)
        return x.contiguous()

    def steps(self) -> Iterator[int]:
        """Make them, each told as 1; as 0 that the content and the style were looked at, and then the first picture."""
        if self._start is not None:
            yield 0
            self._state.update(solver=self._begun(self._start), x=None)
            self._start = None
            yield 0
        while not self._done:
            self._step()
            yield 1

    def _begun(self, x: Tensor) -> State:
        """A solver at the picture to begin with."""
        point = self._objective(x)
        if not self._size.history:
            return adam.begin(point)
        scale = float(point.gradient.abs().mean()) / FIRST_MOVE
        return {**lbfgs.begin(point), "curvature": x.new_full((1, 1, 1), scale or 1.0)}

    @property
    def _done(self) -> bool:
        """Whether this size has had its steps, or gets no lower."""
        return bool(self._solver["step"] >= self._size.steps or self._solver.get("stuck"))

    @property
    def _solver(self) -> State:
        solver: State = self._state["solver"]
        return solver

    @property
    def work(self) -> int:
        """What its steps have cost so far, in pixels."""
        return int(self._solver["step"]) * self._size.height * self._size.width if self._start is None else 0

    def _step(self) -> None:
        if self._size.history:
            lbfgs.advance(self._solver, self._objective, self._solver["curvature"], self._size.history)
        else:
            adam.advance(self._solver, self._objective, self._wanted.rate)

    def losses(self) -> Mapping[str, float | Tensor]:
        """The loss and its terms, once there are any."""
        if self._start is not None:
            return {}
        content, style = self._solver["terms"]
        return {"loss": self._solver["loss"], "content_loss": content, "style_loss": style}

    def preview(self) -> Tensor:
        """The picture as it stands."""
        return self._wanted.pictures.preview(self._solver["x"] if self._start is None else self._start)
