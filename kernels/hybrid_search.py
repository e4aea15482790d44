"""The two ways to the minimum of a hybrid's loss: L-BFGS strip by strip, and the plain gradient descent of old."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import torch
from kernels.hybrid_loss import HybridLoss, Recipe
from kernels.hybrid_start import start
from kernels.lbfgs import WINDOW, Point, advance, begin, settled
from kernels.strips import Strip, strips, to_bytes
from kernels.tasks import Progress, State

if TYPE_CHECKING:
    from torch import Tensor

FALL = {"lbfgs": 2e-3, "gradient_descent": 1e-3}
"""`auto` stops when five steps lower the loss by less than this share of it; see docs/hybrid.md for the lbfgs one."""
HALO = 4  # reaches of the kernel; see docs/decisions/016-hybrid-in-strips.md


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and how: `near` and `far` are uint8 H×W×3 of one size, `begin_at` one of STARTS.

    At most `most` steps are made, fewer if `auto` and the loss has settled. `pixels` bounds what is worked on at a
    time, `memory` the steps that L-BFGS remembers.
    """

    near: Tensor
    far: Tensor
    recipe: Recipe
    begin_at: str
    most: int
    auto: bool
    pixels: int
    memory: int

    def cut(self, halo: int) -> list[Strip]:
        """The picture in strips."""
        height, width, _ = self.near.shape
        return strips(height, width, halo, self.pixels)

    def loss(self, strip: Strip) -> HybridLoss:
        """The loss over the rows that a strip looks at, as if there were no others."""
        return HybridLoss(strip.planes(self.near), strip.planes(self.far), self.recipe)

    def start(self, strip: Strip) -> Tensor:
        """x over those rows, to begin with."""
        return start(self.begin_at, strip.planes(self.near), strip.planes(self.far), self.recipe)

    def named(self, terms: Sequence[float] | Tensor) -> dict[str, float | Tensor]:
        """The terms of the loss, near and far, with their names and the weighted sum before them."""
        near, far = terms
        loss = self.recipe.near_weight * near + self.recipe.far_weight * far
        return {"loss": loss, "near_loss": near, "far_loss": far}


@dataclass(frozen=True, slots=True)
class Found:
    """The picture, uint8 H×W×3, the terms of its loss before it was rounded, and the number of steps made."""

    picture: Tensor
    terms: list[float]
    steps: int


Path: TypeAlias = Generator[Progress, None, Found]


def lbfgs(search: Search, state: State) -> Path:
    """L-BFGS from strip to strip: each is solved with its halo, and its own rows are kept as bytes.

    The losses told are those of the whole picture as it stands: strips still to come count as they start.
    """
    cut = search.cut(HALO * search.recipe.reach)
    if not state:
        state.update(_surveyed(search, cut))
    while state["strip"] < len(cut):
        yield from _strip(search, cut, state)
        here, solver = cut[state["strip"]], state["solver"]
        state.update(canvas=_with(state["canvas"], here, solver["x"]), strip=state["strip"] + 1, solver=None)
    return Found(state["canvas"], _total(state["terms"]), state["taken"])


def _surveyed(search: Search, cut: Sequence[Strip]) -> State:
    """The state before the first step: the picture to start from, and what each strip of it costs."""
    canvas, terms = torch.empty_like(search.near), list[list[float]]()
    for strip in cut:
        x = search.start(strip)
        canvas = _with(canvas, strip, x)
        # A single strip is evaluated anyhow when its solver begins.
        terms.append(search.loss(strip)(x).terms(strip.core).tolist() if len(cut) > 1 else [0.0, 0.0])
    return {"canvas": canvas, "terms": terms, "strip": 0, "taken": 0, "solver": None}


def _strip(search: Search, cut: Sequence[Strip], state: State) -> Generator[Progress, None, None]:
    """The steps of the strip whose turn it is."""
    index = state["strip"]
    strip, loss = cut[index], search.loss(cut[index])

    def evaluate(x: Tensor) -> Point:
        found = loss(x)
        near, far, *own = torch.cat((found.terms(), found.terms(strip.core))).tolist()
        return Point(x, search.recipe.near_weight * near + search.recipe.far_weight * far, found.gradient, own)

    if state["solver"] is None:
        state["solver"] = begin(evaluate(search.start(strip)))
    solver = state["solver"]
    while not _done(search, solver):
        advance(solver, evaluate, loss.curvature(solver["x"]), search.memory)
        state["taken"] += 1
        state["terms"] = [*state["terms"][:index], solver["terms"], *state["terms"][index + 1 :]]
        yield Progress(
            step=index * search.most + solver["step"],
            steps=len(cut) * search.most,
            losses=search.named(_total(state["terms"])),
            preview=lambda: _with(state["canvas"], strip, solver["x"]),
        )


def _done(search: Search, solver: State) -> bool:
    enough = solver["step"] >= search.most or solver["stuck"]
    return enough or (search.auto and settled(solver["past"], FALL["lbfgs"]))


def _with(canvas: Tensor, strip: Strip, x: Tensor) -> Tensor:
    """A copy of the canvas with a strip's own rows as x has them."""
    canvas = canvas.clone()
    canvas[strip.own] = to_bytes(torch.sigmoid(x[:, strip.core]))
    return canvas


def _total(terms: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) for column in zip(*terms, strict=True)]


def gradient_descent(search: Search, state: State, rate: float) -> Path:
    """x −= rate · gradient, over the whole picture; strips only bound the memory.

    Step k tells the losses that its gradient was taken at, those before it, as the recipe of old prints them.
    """
    cut = search.cut(search.recipe.reach)
    losses = [search.loss(strip) for strip in cut]
    if not state:
        state.update(step=0, x=_joined(cut, [search.start(strip) for strip in cut]), past=[])
    while not (state["step"] >= search.most or (search.auto and settled(state["past"], FALL["gradient_descent"]))):
        terms, gradient = _whole(cut, losses, state["x"])
        named = search.named(terms)
        past = [*state["past"][-WINDOW:], float(named["loss"])] if search.auto else []
        state.update(step=state["step"] + 1, x=state["x"].add(gradient, alpha=-rate), past=past)
        yield Progress(state["step"], search.most, named, lambda: _bytes(cut, state["x"]))
    terms, _ = _whole(cut, losses, state["x"])
    return Found(_bytes(cut, state["x"]), terms.tolist(), state["step"])


def _whole(cut: Sequence[Strip], losses: Sequence[HybridLoss], x: Tensor) -> tuple[Tensor, Tensor]:
    """Terms and gradient over the whole picture."""
    found: list[Tensor] = []
    terms = torch.zeros(2, dtype=torch.float64, device=x.device)
    for strip, loss in zip(cut, losses, strict=True):
        part = loss(x[:, strip.top : strip.bottom])
        terms = terms + part.terms(strip.core)
        found.append(part.gradient)
    return terms, _joined(cut, found)


def _joined(cut: Sequence[Strip], parts: Sequence[Tensor]) -> Tensor:
    """The strips' own rows of 3×h×W parts, one below the other."""
    return torch.cat([part[:, strip.core] for strip, part in zip(cut, parts, strict=True)], 1)


def _bytes(cut: Sequence[Strip], x: Tensor) -> Tensor:
    return torch.cat([to_bytes(torch.sigmoid(x[:, strip.own])) for strip in cut])
