"""The folders of a configuration: made at the start, tried for writing, cleared of what a killed run left behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.errors import BlockedError, DarkroomError, remedy_of
from daemon.ledger import Ledger
from daemon.model import Rule
from daemon.publishing.outputs import check_writable, discard, leftovers
from daemon.rulebook import Rulebook


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


def sweep(rulebook: Rulebook, ledger: Ledger, stop: threading.Event) -> None:
    """Clear the temporary files that a killed run left behind, until `stop` is set.

    Also where rules wrote before they were edited; such a folder is then forgotten.
    """
    with contextlib.suppress(BlockedError):  # only when stopping: the next start sweeps
        former = ledger.folders() - _written(rulebook)
        # Not "/": a template without a fixed part must not cost a walk over the machine.
        for folder in sorted((former | _written(rulebook)) - {"/"}):
            for path in leftovers(folder):
                if stop.is_set():
                    return
                discard(path)
        ledger.forget_folders(former - _written(rulebook))


def _written(rulebook: Rulebook) -> frozenset[str]:
    return frozenset[str]().union(*(rule.folders | rule.source.folders for rule in rulebook.rules.values()))
