"""The search for the picture: size by size, coarse to fine, each beginning with the last one's result."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from kernels import adam, lbfgs
from kernels.features.tiled import Tiled, trimmed
from kernels.features.trunk import Trunk
from kernels.style_objective import Objective, Recipe
from kernels.style_pictures import Pictures, enlarged, with_noise
from kernels.style_plan import Size
from kernels.tasks import Progress, State

if TYPE_CHECKING:
    from torch import Tensor

KEPT_GRAMS = 32
"""Style pictures at one size whose Gram matrices are remembered between jobs: 3 MB each at most."""
STYLE_SIDE = 512
"""Pixels of the side of a style picture's tiles at least: forward only, they take a fraction of the memory."""
FIRST_MOVE = 4.0
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
        while not descent.done:
            descent.step()
            state["taken"] += 1
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
        grams = remembered_grams(wanted.trunk, style, tuple(wanted.recipe.style), max(size.side, STYLE_SIDE))
        self._objective = Objective(wanted.trunk, wanted.recipe, content, grams, size.side)
        if state["solver"] is None:
            state.update(solver=self._begun(state["x"], content, style), x=None)
        self._solver: State = state["solver"]

    def _begun(self, before: Tensor | None, content: Tensor, style: Tensor) -> State:
        """A solver at the result of the size before, or where there is none at the very start."""
        if before is None:
            painted = self._wanted.pictures.recolored(content, style, self._wanted.palette)
            x = with_noise(painted, self._wanted.noise, self._wanted.seed)
        else:
            x = enlarged(before, self._size.height, self._size.width, "bicubic").clamp(0, 255)
        point = self._objective(x.contiguous())
        if not self._size.history:
            return adam.begin(point)
        scale = float(point.gradient.abs().mean()) / FIRST_MOVE
        return {**lbfgs.begin(point), "curvature": x.new_full((1, 1, 1), scale or 1.0)}

    @property
    def done(self) -> bool:
        """Whether this size has had its steps, or gets no lower."""
        return bool(self._solver["step"] >= self._size.steps or self._solver.get("stuck"))

    @property
    def work(self) -> int:
        """What its steps have cost so far, in pixels."""
        return int(self._solver["step"]) * self._size.height * self._size.width

    def step(self) -> None:
        """Make one."""
        if self._size.history:
            lbfgs.advance(self._solver, self._objective, self._solver["curvature"], self._size.history)
        else:
            adam.advance(self._solver, self._objective, self._wanted.rate)

    def losses(self) -> Mapping[str, float | Tensor]:
        """The loss and its terms."""
        content, style = self._solver["terms"]
        return {"loss": self._solver["loss"], "content_loss": content, "style_loss": style}

    def preview(self) -> Tensor:
        """The picture as it stands."""
        return self._wanted.pictures.preview(self._solver["x"])


_grams: OrderedDict[str, dict[str, Tensor]] = OrderedDict()


def remembered_grams(trunk: Trunk, style: Tensor, names: tuple[str, ...], side: int) -> dict[str, Tensor]:
    """The Gram matrices of a style picture as levels, from memory if they were made lately, by another job perhaps."""
    told = f"{trunk.identity} {names} {side} {tuple(style.shape)} {style.device}"
    key = hashlib.sha256(told.encode() + style.cpu().contiguous().numpy().tobytes()).hexdigest()
    if key not in _grams:
        canvas = trimmed(style, trunk.stride)
        _, height, width = canvas.shape
        _grams[key] = Tiled(trunk, height, width, side).grams(canvas, names)
        while len(_grams) > KEPT_GRAMS:
            _grams.popitem(last=False)
    _grams.move_to_end(key)
    return _grams[key]
