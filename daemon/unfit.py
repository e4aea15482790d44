"""A value of config.yaml that cannot be used, and the one check that templates and folders share."""

from __future__ import annotations

import os
from pathlib import Path


class UnfitError(ValueError):
    """A value that cannot be used: `problem` says what is wrong with it, `remedy` what would be right."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


def absolute(text: str, base: Path) -> str:
    """A path of config.yaml, absolute and normalised: `~` expanded, else relative to `base`. Raises UnfitError."""
    if not text.strip():
        raise UnfitError("the path is empty", "name a folder")
    if "\0" in text:
        raise UnfitError("the path holds a NUL character", "remove it")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise UnfitError(f"the home folder {path.split('/')[0]} is not known", f"write the whole path, or ./{path}")
    # abspath and not Path.resolve: a folder reached by a symbolic link keeps the name that the user gave it.
    return os.path.abspath(base / path)
