"""The losses of a task, step by step, thinned so that a million steps take no more room than a thousand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MOST = 400
"""Steps kept: enough for a plot. When there are more, every other one goes, and half as many are noted from then on."""


class History:
    """Loss terms by step. Tensors of a card are kept unread, for reading one makes it wait; `plain` reads them."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        kept = kept or {"every": 1, "steps": [], "losses": [], "last": None}
        self._every: int = kept["every"]
        self._steps: list[int] = list(kept["steps"])
        self._losses: list[Mapping[str, float | Tensor]] = list(kept["losses"])
        last = kept["last"]
        self._last: tuple[int, Mapping[str, float | Tensor]] | None = last and (last[0], last[1])

    def note(self, step: int, losses: Mapping[str, float | Tensor]) -> None:
        """A step was made."""
        kept = {name: _kept(value) for name, value in losses.items()}
        self._last = (step, kept)
        if (step - 1) % self._every:
            return
        self._steps.append(step)
        self._losses.append(kept)
        if len(self._steps) > MOST:
            self._every *= 2
            wanted = [index for index, each in enumerate(self._steps) if (each - 1) % self._every == 0]
            self._steps = [self._steps[index] for index in wanted]
            self._losses = [self._losses[index] for index in wanted]

    def last(self) -> dict[str, float]:
        """The losses of the last step noted."""
        return {} if self._last is None else _read(self._last[1])

    def plain(self) -> dict[str, Any]:
        """What a new History goes on from."""
        self._losses = [_read(losses) for losses in self._losses]
        last = self._last and [self._last[0], _read(self._last[1])]
        return {"every": self._every, "steps": list(self._steps), "losses": list(self._losses), "last": last}

    def plain_pairs(self) -> Iterator[tuple[int, dict[str, float]]]:
        """(step, losses) of the steps kept, and of the last one."""
        steps: Sequence[int] = self._steps
        for step, losses in zip(steps, self._losses, strict=True):
            yield step, _read(losses)
        if self._last is not None and (not steps or steps[-1] != self._last[0]):
            yield self._last[0], _read(self._last[1])


def _kept(value: float | Tensor) -> float | Tensor:
    if isinstance(value, float | int):
        return value
    # On the processor nobody waits; and a few bytes kept of each step lie between the pictures on the heap, whose room
    # then fits no picture again: 200 steps at 512×512 grew by 700 MB.
    return float(value) if value.device.type == "cpu" else value.detach().clone()


def _read(losses: Mapping[str, float | Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in losses.items()}
