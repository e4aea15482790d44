"""`config.error.txt` beside config.yaml: what is wrong with an edit, for whoever sees only the folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.model import Config
from daemon.publishing.outputs import write_whole
from daemon.shown import shown

FIRST_LINE = "darkroom does not use this edit of"
"""How such a file begins: one that begins otherwise is somebody else's."""


def places(config: Config) -> Iterator[Path]:
    """Where it lies: beside the file, or in `state_dir` where the daemon may not write there."""
    name = f"{config.path.stem}.error.txt"
    yield config.path.with_name(name)
    yield config.state_dir / name


def write(config: Config, faults: Sequence[str], complain: Callable[[str], None]) -> None:
    """Leave it, in the first place that can be written."""
    for place in places(config):
        if _is_foreign(place):
            continue
        with contextlib.suppress(DarkroomError):
            write_whole(str(place), 0, _text(config, faults).encode())
            return
    complain(f"{config.path}: its faults are told here only: {config.path.stem}.error.txt cannot be written beside it")


def remove(config: Config) -> None:
    """Take it away: the file is well."""
    for place in places(config):
        with contextlib.suppress(OSError):
            if place.exists() and not _is_foreign(place):
                place.unlink()


def _is_foreign(place: Path) -> bool:
    try:
        with place.open(encoding="utf-8", errors="replace") as file:
            return not file.readline().startswith(FIRST_LINE)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _text(config: Config, faults: Sequence[str]) -> str:
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    lines = "\n".join(f"  {shown(fault)}" for fault in faults)
    return (
        f"{FIRST_LINE} {shown(config.path.name)}\n\n"
        f"What is wrong (file:line:column: key: what; what would be right):\n{lines}\n\n"
        f"When:  {when}\n"
        "Until it is mended, the daemon works on by the rules from before. Mend the file and save it: it is read\n"
        "again by itself, and this note goes away. `darkroom check` tells the same.\n"
    )
