"""What `darkroom run` shows: lines for a journal, or lines and a progress bar on a terminal."""

from __future__ import annotations

import sys
from typing import Protocol


class Display(Protocol):
    """Where lines and numbers go."""

    def line(self, text: str) -> None: ...
    def progress(self, finished: int, open_jobs: int, rate: float) -> None: ...
    def close(self) -> None: ...


class Plain:
    """One line an event, flushed at once: for journals, files and pipes."""

    def line(self, text: str) -> None:
        """Print a line; a reader that went away, or a full disk behind it, must not end the work."""
        try:
            print(text.encode(errors="backslashreplace").decode(), flush=True)
        except OSError:
            sys.stdout = open("/dev/null", "w")  # noqa: SIM115 - for the rest of the process

    def progress(self, finished: int, open_jobs: int, rate: float) -> None:
        """A journal gets lines, no bar."""

    def close(self) -> None:
        """Nothing to undo."""


class Live:
    """A terminal: the same lines, above a bar with backlog, pictures per second and time left."""

    def __init__(self) -> None:
        from rich.console import Console  # only a terminal pays for it
        from rich.progress import BarColumn, Progress, TaskID, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
        self._progress = Progress(*columns, console=Console(highlight=False, soft_wrap=True), transient=True)
        self._task: TaskID = self._progress.add_task("darkroom", total=None, told="waiting for pictures")
        self._progress.start()

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text.encode(errors="backslashreplace").decode(), markup=False)

    def progress(self, finished: int, open_jobs: int, rate: float) -> None:
        """Move the bar."""
        told = "waiting for pictures"
        if open_jobs:
            left = f", {_duration(open_jobs / rate)} left" if rate > 0 else ""
            told = f"{open_jobs:,} to go, {rate:,.0f} pictures/s{left}"
        elif finished:
            told = f"{finished:,} done, waiting for pictures"
        total = finished + open_jobs
        self._progress.update(self._task, total=total or None, completed=finished, told=told)

    def close(self) -> None:
        """Take the bar away and give the terminal back."""
        self._progress.stop()


def make_display() -> Display:
    """The display that fits standard output."""
    return Live() if sys.stdout.isatty() else Plain()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
