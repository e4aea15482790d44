"""Where the daemon of a config.yaml keeps its state: most often told at a glance, for whoever wants to ask that daemon.

Loads little: to read config.yaml whole takes longer than any answer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from daemon.control import SilentError, ask
from daemon.errors import DarkroomError

_STATE_DIR = re.compile(
    r"""^state_dir\s*:\s*(?:"([^"\\]+)"|'([^']+)'|([^"'\s#&*!|>{\[][^#\n]*?))\s*(?:#.*)?$""", re.MULTILINE
)


def state_dir_of(path: Path) -> Path:
    """The `state_dir` of a config.yaml; of one with faults as well, if a daemon works there by it.

    Raises ConfigError where there is no telling.
    """
    return _found(path)[0]


def daemon_of(path: Path) -> Path:
    """The same, for whoever is about to ask that daemon. Raises SilentError if it was asked already and is silent."""
    state_dir, silent = _found(path)
    if silent is not None:
        raise silent
    return state_dir


def _found(path: Path) -> tuple[Path, SilentError | None]:
    guessed, silent = _at_a_glance(path), None
    try:
        if ask(guessed, "config").get("path") == os.path.abspath(path):
            return guessed, None
    except SilentError as error:
        silent = error
    except DarkroomError:
        pass
    from daemon.config import load_config

    state_dir = load_config(path).state_dir
    return state_dir, silent if state_dir == guessed else None


def _at_a_glance(path: Path) -> Path:
    """Where a file seems to say that its state is. Whoever answers there is asked for its file, so a guess will do."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = _STATE_DIR.search(text)
    named = next(filter(None, found.groups()), "var") if found else "var"
    return Path(path.absolute().parent, Path(named).expanduser())
