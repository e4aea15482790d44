"""How the daemon of a config.yaml is started: by the service that was installed for it, else by hand."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.unit.values import MADE_FROM, SYSTEM_UNITS, user_units


def how_to_start(config: Path) -> str:
    """The command, in backquotes, for the file at this path, however it is written."""
    path = os.path.abspath(config)
    own = user_units(Path(os.path.expanduser("~")))  # Path.home() raises where a user has none, as in containers
    for folder, words in ((SYSTEM_UNITS, "sudo systemctl"), (own, "systemctl --user")):
        for file in sorted(folder.glob("*.service")):
            if _first_line(file) == f"{MADE_FROM}{path}":
                return f"`{words} start {file.stem}`"
    return "`darkroom run`"


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.readline().rstrip("\n")
    except OSError:  # masked, or not for this user
        return ""
