"""One task being run: from the inputs in its folder to the result there, with checkpoints, previews and progress.

Loads torch: for the worker only. What it costs to tell is kept small: a state is saved so rarely that it takes a
fiftieth of the time at most, and progress is told five times a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from daemon.life.allocator import give_pages_back
from daemon.tasks import checkpoint
from daemon.tasks.folder import TaskFolder
from daemon.tasks.history import History
from daemon.tasks.memory import Peak, free_for
from daemon.tasks.messages import Finished, Previewed, Report, Run, Saved, Stepped, Stopped
from kernels.spec import Progress, Result, State, Steps, operators

TELL_EVERY = 0.2
"""Seconds between two reports of progress."""
SHARE = 50
"""A checkpoint that took a second to save is followed by the next after fifty, at least."""


class Running:
    """A task from its start or its checkpoint on. `tell` sends a report; `stop` is looked at after every step."""

    def __init__(self, order: Run, device: torch.device, tell: Callable[[Report], None], stop: threading.Event) -> None:
        self._order = order
        self._device = device
        self._tell = tell
        self._stop = stop
        self._folder = TaskFolder(Path(order.folder))
        self._peak = Peak(device)
        self._state: State = {}
        self._history = History()
        self._before = 0.0
        self._made = self._of = 0
        self._began = time.monotonic()
        self._resume()
        self._first_share: float | None = None
        self._told_at = 0.0
        self._saved_at = self._previewed_at = self._began
        self._save_cost = 0.0

    def _resume(self) -> None:
        kept = checkpoint.load(self._folder.checkpoint, self._order.key, self._device)
        if kept is not None:
            self._state, self._history = kept["state"], History(kept["history"])
            self._before, self._made, self._of = kept["seconds"], kept["step"], kept["steps"]

    def run(self) -> Report:
        """Make every step; the last report. Raises whatever the task raises, and OSError of the disk."""
        steps = self._steps()
        if self._made:
            self._tell(Stepped(self._made, self._of, self._history.last(), None))
            self._tell(Saved(self._made))
        try:
            while True:
                progress = next(steps)
                self._note(progress)
                self._after(progress)
                if self._stop.is_set():
                    self._save(progress)
                    return Stopped(progress.step, progress.steps)
        except StopIteration as end:
            return self._finish(end.value)

    def _steps(self) -> Steps:
        operator, order = operators()[self._order.step], self._order
        assert operator.task is not None
        inputs = {role: self._tensor(f"input-{role}") for role in order.roles}
        machine = {"thrift": order.thrift} if operator.task.savings else {}
        machine |= {"memory": free_for(self._device)} if operator.task.plans else {}
        steps: Steps = operator.function(inputs, self._state, **order.parameters, **machine)
        return steps

    def _tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self._folder.read(name)).to(self._device)

    def _note(self, progress: Progress) -> None:
        if progress.step < self._made:  # the task could do nothing with its state and began anew
            self._history, self._made = History(), 0
        if progress.step > self._made:
            self._history.note(progress.step, progress.losses)
        else:  # one part of the work is over: what it leaves in the heap has not the sizes that the next one needs
            give_pages_back()
        self._made = progress.step

    def _after(self, progress: Progress) -> None:
        """Tell, save and show what is due."""
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            self._tell(Stepped(progress.step, progress.steps, self._history.last(), self._left(progress, now)))
        if now - self._saved_at >= max(self._order.checkpoint, SHARE * self._save_cost):
            self._save(progress)
        if self._order.preview is not None and now - self._previewed_at >= self._order.preview:
            self._folder.write("preview", _pixels(progress.preview()))
            self._tell(Previewed())
            self._previewed_at = time.monotonic()

    def _left(self, progress: Progress, now: float) -> float | None:
        """Seconds for the work to come at the pace of this run; None before there is a pace."""
        share = _share(progress)
        if self._first_share is None:
            self._first_share, self._first_at = share, now
        made = share - self._first_share
        return (1 - share) * (now - self._first_at) / made if made > 0 else None

    def _save(self, progress: Progress) -> None:
        began = time.monotonic()
        kept = {
            "state": self._state,
            "step": progress.step,
            "steps": progress.steps,
            "history": self._history.plain(),
            "seconds": self._seconds(),
        }
        checkpoint.save(self._folder.checkpoint, self._order.key, kept)
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - began
        self._tell(Saved(progress.step))

    def _finish(self, result: Result) -> Finished:
        self._folder.write("result", _pixels(result.picture))
        for name, picture in result.beside.items():
            self._folder.write(f"beside-{name}", _pixels(picture))
        record = {**_plain(result.record), "memory_peak": self._peak.read() >> 20}
        history = tuple(self._history.plain_pairs())
        return Finished(record, tuple(result.beside), result.told, self._made, self._seconds(), history)

    def _seconds(self) -> float:
        """Of work on this task, those before the last interruption included."""
        return round(self._before + time.monotonic() - self._began, 3)


def _share(progress: Progress) -> float:
    """How much of the whole work is done."""
    return progress.step / progress.steps if progress.share is None else progress.share


def _pixels(picture: torch.Tensor) -> Any:
    """A picture on its way to a file. Raises TypeError if the task gave something else."""
    if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise TypeError(f"a task gives pictures as uint8 H×W×3, not {picture.dtype} {tuple(picture.shape)}")
    return picture.detach().cpu().numpy()


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, torch.Tensor) else value for name, value in record.items()}
