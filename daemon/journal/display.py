"""What `darkroom run` shows: lines of a journal, or lines and a progress bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from daemon.journal.journal import Event, Journal
from daemon.options import LogFormat, LogOptions
from daemon.shown import say, shown
from daemon.tasks.view import TaskView, duration

TELL_ONE = 2.0
"""Seconds between two lines about the one task of `darkroom apply`, where there is no terminal."""
TELL_TASKS = 60.0
"""Seconds between two lines about the same running task, where lines are all there is."""


class Display(Protocol):
    """Where events and numbers go. `each_job`: whether every finished job is worth an event, however many there are."""

    each_job: bool

    def start(self) -> None: ...
    def tell(self, event: Event) -> None: ...
    def progress(self, finished: int, open_jobs: int, rate: float) -> None: ...
    def tasks(self, running: Sequence[TaskView]) -> None: ...
    def close(self) -> None: ...


class Plain:
    """One line an event: for journals, files and pipes."""

    each_job = True

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._told: dict[int, float] = {}

    def start(self) -> None:
        """A journal needs nothing."""

    def tell(self, event: Event) -> None:
        """Write a line."""
        self._journal.write(event)

    def progress(self, finished: int, open_jobs: int, rate: float) -> None:
        """A journal gets lines, no bar."""

    def tasks(self, running: Sequence[TaskView]) -> None:
        """A line when a task begins, and one a minute."""
        now = time.monotonic()
        self._told = {view.job: self._told.get(view.job, 0.0) for view in running}
        for view in running:
            if view.step and now - self._told[view.job] >= TELL_TASKS:
                self._told[view.job] = now
                fields = {"event": "task", "job": view.job, "rule": view.rule, "step": view.step, "steps": view.steps}
                self.tell(Event(f"{view.rule}: {view.picture}: {view}", fields=fields))

    def close(self) -> None:
        """Nothing to undo."""


class Live:
    """A terminal: the same lines, above a bar with backlog, pictures per second and time left."""

    each_job = False

    def __init__(self, journal: Journal) -> None:
        from rich.console import Console  # only a terminal pays for it
        from rich.progress import BarColumn, Progress, TaskID, TextColumn

        told, name = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("fields[told]", "description"))
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._progress = Progress(name, BarColumn(), told, console=console, transient=True)
        self._task: TaskID = self._progress.add_task("darkroom", total=None, told="waiting for pictures")
        self._running: dict[int, TaskID] = {}
        self._journal = journal

    def start(self) -> None:
        """Show the bar. What is told before, a refusal say, needs none."""
        self._progress.start()

    def tell(self, event: Event) -> None:
        """Print a line above the bar."""
        if self._journal.wants(event.level):
            self._progress.console.print("\n".join(event.lines()))

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
                self._running[job] = self._progress.add_task(shown(view.picture), total=None, told="")
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
            say(f"{view.picture}: {view}", error=True)

    def line(self, text: str) -> None:
        """A result."""
        say(text)

    def complain(self, text: str) -> None:
        """Something went wrong."""
        say(text, error=True)


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
        self._progress.update(self._task, total=steps, completed=view.step, name=shown(view.picture), told=told)


def make_bar() -> Bar:
    """The bar that fits standard error."""
    return LiveBar() if sys.stderr.isatty() else Bar()


def make_display(options: Callable[[], LogOptions]) -> Display:
    """The display that fits standard output: lines of JSON go to a terminal without a bar, too."""
    journal = Journal(options)
    live = sys.stdout.isatty() and options().format is LogFormat.TEXT
    return Live(journal) if live else Plain(journal)
