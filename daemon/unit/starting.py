"""How the daemon of a config.yaml is started: by the service that was installed for it, else by hand."""

from __future__ import annotations

from pathlib import Path

from daemon.publishing.entries import entry_of
from daemon.unit.values import MADE_FROM, SYSTEM_UNITS, own_home, user_units


def how_to_start(config: Path) -> str:
    """The command, in backquotes, for the file at this path, however it is written."""
    entry = entry_of(config)
    for folder, words in ((SYSTEM_UNITS, "sudo systemctl"), (user_units(own_home()), "systemctl --user")):
        for file in sorted(folder.glob("*.service")):
            made_from = _first_line(file).removeprefix(MADE_FROM)
            if made_from.startswith("/") and entry_of(made_from) == entry:
                return f"`{words} start {file.stem}`"
    return "`darkroom run`"


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.readline().rstrip("\n")
    except OSError:  # masked, or not for this user
        return ""
