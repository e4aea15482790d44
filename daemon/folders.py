"""The folders of a configuration: made at the start, tried for writing, cleared of what a killed run left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.errors import BlockedError, DarkroomError, remedy_of
from daemon.model import Rule
from daemon.outputs import check_writable, discard, leftovers


def make_folder(folder: Path) -> None:
    """Make a folder and its parents. Raises DarkroomError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = remedy_of(error, "make it, or give the daemon's user permission")
        raise DarkroomError(f"{folder}: cannot be made ({error.strerror}); {remedy}") from error


def prepare(rules: Sequence[Rule], complain: Callable[[str], None]) -> None:
    """Make the watched folders and try those that are written to; what fails is told, and may be mended later."""
    for rule in rules:
        for folder in rule.watch:
            try:
                make_folder(folder)
            except DarkroomError as error:
                complain(str(error))
        for place in sorted(rule.folders):
            try:
                check_writable(place)
            except BlockedError as error:
                complain(f"{rule.name}: {error}")


def sweep(rules: Sequence[Rule], stop: threading.Event) -> None:
    """Clear the temporary files that a killed run left behind, until `stop` is set."""
    folders = {folder for rule in rules for folder in rule.folders}
    folders |= {rule.source.to.folder for rule in rules if rule.source.to is not None}
    for folder in sorted(folders - {"/"}):  # a template without a fixed part must not cost a walk over the machine
        for path in leftovers(folder):
            if stop.is_set():
                return
            discard(path)
