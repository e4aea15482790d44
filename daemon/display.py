"""What `darkroom run` shows: lines for a journal, or lines and a progress bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol, Self

from daemon.tasks.view import TaskView, duration

TELL_ONE = 2.0
"""Seconds between two lines about the one task of `darkroom apply`, where there is no terminal."""
TELL_TASKS = 60.0
"""Seconds between two lines about the same running task, where lines are all there is."""


class Display(Protocol):
    """Where lines and numbers go."""

    def line(self, text: str) -> None: ...
    def progress(self, finished: int, open_jobs: int, rate: float) -> None: ...
    def tasks(self, running: Sequence[TaskView]) -> None: ...
    def close(self) -> None: ...


class Plain:
    """One line an event, flushed at once: for journals, files and pipes."""

    def __init__(self) -> None:
        self._told: dict[int, float] = {}

    def line(self, text: str) -> None:
        """Print a line; a reader that went away, or a full disk behind it, must not end the work."""
        try:
            print(text.encode(errors="backslashreplace").decode(), flush=True)
        except OSError:
            sys.stdout = open("/dev/null", "w")  # noqa: SIM115 - for the rest of the process

    def progress(self, finished: int, open_jobs: int, rate: float) -> None:
        """A journal gets lines, no bar."""

    def tasks(self, running: Sequence[TaskView]) -> None:
        """A line when a task begins, and one a minute."""
        now = time.monotonic()
        self._told = {view.job: self._told.get(view.job, 0.0) for view in running}
        for view in running:
            if view.step and now - self._told[view.job] >= TELL_TASKS:
                self._told[view.job] = now
                self.line(f"{view.rule}: {view.picture}: {view}")

    def close(self) -> None:
        """Nothing to undo."""


class Live:
    """A terminal: the same lines, above a bar with backlog, pictures per second and time left."""

    def __init__(self) -> None:
        from rich.console import Console  # only a terminal pays for it
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TaskID, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
        self._progress = Progress(*columns, console=Console(highlight=False, soft_wrap=True), transient=True)
        self._task: TaskID = self._progress.add_task("darkroom", total=None, told="waiting for pictures")
        self._running: dict[int, TaskID] = {}
        self._escape = escape
        self._progress.start()

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text.encode(errors="backslashreplace").decode(), markup=False)

    def progress(self, finished: int, open_jobs: int, rate: float) -> None:
        """Move the bar."""
        told = "waiting for pictures"
        if open_jobs:
            left = f", {duration(open_jobs / rate)} left" if rate > 0 else ""
            told = f"{open_jobs:,} to go, {rate:,.0f} pictures/s{left}"
        elif finished:
            told = f"{finished:,} done, waiting for pictures"
        total = finished + open_jobs
        self._progress.update(self._task, total=total or None, completed=finished, told=told)

    def tasks(self, running: Sequence[TaskView]) -> None:
        """A bar for each task."""
        views = {view.job: view for view in running}
        for job in set(self._running) - set(views):
            self._progress.remove_task(self._running.pop(job))
        for job, view in views.items():
            if job not in self._running:
                self._running[job] = self._progress.add_task(self._escape(view.picture), total=None, told="")
            self._progress.update(self._running[job], total=view.steps or None, completed=view.step, told=str(view))

    def close(self) -> None:
        """Take the bar away and give the terminal back."""
        self._progress.stop()


class Bar:
    """How far one task is, for `darkroom apply`: a line now and then on standard error."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, view: TaskView) -> None:
        """The task is so far."""
        if time.monotonic() - self._told >= TELL_ONE:
            self._told = time.monotonic()
            print(f"{view.picture}: {view}", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        """A result."""
        print(text)

    def complain(self, text: str) -> None:
        """Something went wrong."""
        print(text, file=sys.stderr)


class LiveBar(Bar):
    """The same on a terminal: a bar that moves, and is gone at the end."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn("{task.fields[name]}", markup=False), BarColumn(), TextColumn("{task.fields[told]}"))
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("", total=None, name="", told="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, view: TaskView) -> None:
        """Move the bar."""
        told, steps = str(view), view.steps or None
        self._progress.update(self._task, total=steps, completed=view.step, name=view.picture, told=told)


def make_bar() -> Bar:
    """The bar that fits standard error."""
    return LiveBar() if sys.stderr.isatty() else Bar()


def make_display() -> Display:
    """The display that fits standard output."""
    return Live() if sys.stdout.isatty() else Plain()
