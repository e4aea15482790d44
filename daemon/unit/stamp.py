"""The first lines of a unit file: that darkroom made it, from what, and a checksum that tells whether it is as made."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DarkroomError, writing_failed
from daemon.publishing.outputs import write_whole
from daemon.unit.values import MADE_FROM

_STAMP = re.compile(MADE_FROM + r"(?P<config>.+)\n# .*\n# Checksum: (?P<sum>[0-9a-f]{64})\n\n")


@dataclass(frozen=True, slots=True)
class Found:
    """A unit file that is there. `config` is what it was made from, "" for one that darkroom did not make."""

    text: str
    config: str
    edited: bool

    @property
    def user(self) -> str | None:
        """Whom it works as."""
        found = re.search(r"^User=(.+)$", self.text, re.MULTILINE)
        return found[1] if found else None


def stamped(text: str, name: str, config: Path) -> str:
    """A unit file with this text."""
    return (
        f"{MADE_FROM}{config}\n"
        f"# and made anew by it: changes belong into a drop-in, `systemctl edit {name}`.\n"
        f"# Checksum: {_checksum(text)}\n\n{text}"
    )


def find(file: Path) -> Found | None:
    """The unit file that is there; None where there is none. Raises DarkroomError if it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DarkroomError(f"{file}: {error.strerror}; see to it, or choose another name with --name") from error
    if (stamp := _STAMP.match(text)) is None:
        return Found(text, "", edited=True)
    return Found(text, stamp["config"], edited=_checksum(text[stamp.end() :]) != stamp["sum"])


def write(file: Path, text: str) -> None:
    """Put a unit file in its place, whole. Raises DarkroomError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise writing_failed(str(file), error) from error
    write_whole(str(file), 0, text.encode())
    file.chmod(0o644)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
