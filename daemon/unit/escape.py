"""Text as systemd reads it in a unit file: words are split at spaces, unquoted, and `%` begins a specifier.

Sources: systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers"; systemd.service(5), "Command lines".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from daemon.errors import DarkroomError

_PLAIN = re.compile(r"[\w%+,./:=@^~-]+")
"""What needs no quotes. A word that begins with a sign such as `-` is a path with that sign before it."""


def word(text: str) -> str:
    """One word of a setting that takes several: a path, or `NAME=value`. Raises DarkroomError."""
    _refuse(text)
    doubled = text.replace("%", "%%")
    if _PLAIN.fullmatch(doubled):
        return doubled
    escaped = doubled.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def words(texts: Iterable[str | Path]) -> str:
    """Several words."""
    return " ".join(word(str(text)) for text in texts)


def command(program: Path, *parts: str | Path) -> str:
    """A command line. The colon keeps systemd from replacing `$NAME` in it, so that `$` needs no escape."""
    if re.search(r"[\"'\\]", str(program)):  # "Executable name contains special characters"
        raise DarkroomError(f"{program}: systemd runs no path with a quote or a backslash in it; install it elsewhere")
    return f":{words([program, *parts])}"


def line(text: str) -> str:
    """Text for people, in quotes: at the end of a line a backslash would join the next one to it."""
    _refuse(text)
    return f'"{text.replace("%", "%%")}"'


def _refuse(text: str) -> None:
    """No quoting helps a line break in a path, and systemd passes over what is not UTF-8."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise DarkroomError(f"{text!r}: a control character cannot stand in a systemd unit; rename the folder")
    if not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise DarkroomError(f"{text!r}: not UTF-8, which a systemd unit must be; rename the folder")
