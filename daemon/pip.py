"""The command that brings a package into darkroom's own environment, which need not be that of the shell."""

from __future__ import annotations

import shlex
import sys


def pip(words: str) -> str:
    """`pip` with these words, to be pasted into a shell; without the marks of a command."""
    return f"{shlex.quote(sys.executable)} -m pip {words}"


def install(words: str) -> str:
    """The same, for packages to install, as a remedy is written."""
    return f"`{pip(f'install {words}')}`"
