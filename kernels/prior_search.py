"""The search for the whole picture: a prior for each tile, one after the other, each stopped when it is time."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kernels.backend import torch
from kernels.prior_canvas import blank, laid, shown
from kernels.prior_observation import levels_of
from kernels.prior_training import Prior, Training
from kernels.tasks import Progress, State, TaskRefused
from kernels.tiles import Tile

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. `picture` is uint8 h×w×3, of one `factor` times as large; `kept`, bool h×w×1, what counts.

    `start`, uint8 H×W×3, is what is shown where nothing was found yet. `colors` is 1 for a grey picture, or 3.
    """

    picture: Tensor
    kept: Tensor | None
    start: Tensor
    factor: int
    tiles: Sequence[Tile]
    training: Training
    colors: int

    def prior(self, number: int, state: State) -> Prior:
        """That of a tile."""
        tile = self.tiles[number]
        place = tuple(slice(span.low // self.factor, span.high // self.factor) for span in (tile.rows, tile.columns))
        levels = levels_of(self.picture[place], self.colors)
        kept = None if self.kept is None else self.kept[place].permute(2, 0, 1)[None].float()
        return Prior(self.training, levels, kept, self.factor, number, state)

    def shown(self, canvas: Tensor) -> Tensor:
        """The picture as it stands, uint8 H×W×3: what is kept is its own."""
        return shown(canvas) if self.kept is None else torch.where(self.kept, self.picture, shown(canvas))


@dataclass(frozen=True, slots=True)
class Found:
    """The picture, uint8 H×W×3, and by tile the steps made, that of the least signal, and that of the picture taken."""

    picture: Tensor
    made: list[int]
    least: list[int]
    taken: list[int]


Path: TypeAlias = Generator[Progress, None, Found]


def search(wanted: Search, state: State) -> Path:
    """Every step of every tile. `state` has the canvas, the tile that is worked on, and how those before it ended."""
    if not state:
        state.update(canvas=blank(wanted.start), number=0, prior={}, ended=[])
    while (number := state["number"]) < len(wanted.tiles):
        prior, tile = wanted.prior(number, state["prior"]), wanted.tiles[number]
        while not prior.done:
            losses = prior.step()
            yield _told(wanted, prior, losses, state)
        if number + 1 < len(wanted.tiles):
            yield _told(wanted, prior, {}, state)  # again: what this tile leaves in the heap is given back
        stop = state["prior"]["stop"]
        _refuse_nonsense(prior.picture)
        ended = [state["prior"]["step"], int(stop["at"]), int(stop["taken"])]
        canvas = laid(state["canvas"], wanted.start, tile, stop["best"])
        state.update(canvas=canvas, number=number + 1, prior={}, ended=[*state["ended"], ended])
    columns = [list(column) for column in zip(*state["ended"], strict=True)]
    return Found(wanted.shown(state["canvas"]), *columns)


def _refuse_nonsense(picture: Tensor) -> None:
    """Raise TaskRefused where steps were so long that the network was lost: what it was before may be anything."""
    if not picture.isfinite().all():
        raise TaskRefused("its network lost its way (values beyond all numbers); give a smaller learning_rate")


def _told(wanted: Search, prior: Prior, losses: Mapping[str, Tensor], state: State) -> Progress:
    most, number = wanted.training.iterations, state["number"]
    tile, step, tiles = wanted.tiles[number], state["prior"]["step"], len(wanted.tiles)
    before = sum(made for made, _, _ in state["ended"])

    def preview() -> Tensor:
        return wanted.shown(laid(state["canvas"], wanted.start, tile, prior.picture))

    return Progress(before + step, before + (tiles - number) * most, losses, preview, (number + step / most) / tiles)
