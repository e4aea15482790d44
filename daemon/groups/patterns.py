"""Which files make a group: `{key}.near.*` and `{key}/far.*`, parsed once and held against paths. Pure."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import NamedTuple

from daemon.unfit import UnfitError
from kernels.parameters import show

KEY = "{key}"
_KEY = "([^/]+)"
_FIELD = re.compile(r"\{[^{}]*\}")
_SOME_TEXT = "\ue000"  # of private use: no pattern has it literally
_VARIABLE = re.compile(r"\{key\}|\[[^\]]*\]|[*?]")
_EXAMPLE = f'write one such as "{KEY}.near.*"'


class Place(NamedTuple):
    """What the files of a group share: the folder below the watched one, and what `{key}` stands for."""

    dir: str
    key: str

    @property
    def name(self) -> str:
        """The group's name: its place below the watched folder, as a path."""
        return f"{self.dir}/{self.key}" if self.dir else self.key

    @classmethod
    def named(cls, name: str) -> Place:
        """The place of a group from its name."""
        folder, _, key = name.rpartition("/")
        return cls(folder, key)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with `{key}` in it. `parts` are its components as expressions; one of them has a group, the key.

    They are held against the last components of a path below the watched folder; what stands before is the group's
    `{dir}`. So a pattern without a slash is held against the file name.
    """

    text: str
    parts: tuple[re.Pattern[str], ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Parse and check a pattern. Raises UnfitError."""
        _check(text)
        return cls(text, tuple(_expression(part) for part in text.split("/")))

    def place_of(self, relative: str) -> Place | None:
        """The group that a file, given below the watched folder, belongs to; None where it does not match."""
        components = relative.split("/")
        if len(components) < len(self.parts):
            return None
        key, before = "", len(components) - len(self.parts)
        for part, component in zip(self.parts, components[before:], strict=True):
            if (match := part.fullmatch(component)) is None:
                return None
            key = match.group(1) if part.groups else key
        return Place("/".join(components[:before]), key)

    def covers(self, other: Pattern) -> bool:
        """Whether another pattern is a special case of this one: what that one matches, this one does."""
        return self.place_of(_VARIABLE.sub(_SOME_TEXT, other.text)) is not None

    def example(self, place: Place) -> str:
        """What a file that is missing would be called: `castle.far.*`."""
        name = self.text.replace(KEY, place.key)
        return f"{place.dir}/{name}" if place.dir else name


def _check(text: str) -> None:
    """Refuse what no file could match. Raises UnfitError."""
    if "\0" in text:
        raise UnfitError("the pattern holds a NUL character", "remove it")
    if fields := [field for field in _FIELD.findall(text) if field != KEY]:
        raise UnfitError(f"{fields[0]} is not a field of a pattern", f"write {KEY}, and * for any other text")
    if text.count(KEY) > 1:
        raise UnfitError(f"{KEY} stands in it more than once", "write it once, and * for what else may differ")
    if text.startswith(("/", "~")):
        raise UnfitError(f"a pattern with {KEY} is held against paths below the watched folder", _EXAMPLE)
    parts = text.split("/")
    if {".", ".."} & set(parts):
        raise UnfitError('"." or ".." is no name that a file or folder can have', _EXAMPLE)
    if "" in parts:
        raise UnfitError("a name is missing before or after a slash", _EXAMPLE)


def check_fixed(text: str) -> None:
    """Refuse the path of a fixed file that can only be a mistaken pattern. Raises UnfitError."""
    if fields := _FIELD.findall(text):
        raise UnfitError(f"{fields[0]} is not a field of a pattern", f"write {KEY}")
    if "*" in text or "?" in text:
        problem = f"{show(text)} has a wildcard and no {KEY}: a file without {KEY} is one and the same for every group"
        raise UnfitError(problem, f"write {KEY} into it, or name the file in full")
    if text.endswith("/"):
        raise UnfitError("the path names a folder and no file", "name the file in it")


def _expression(part: str) -> re.Pattern[str]:
    """One component. Both sides of the key are translated alone: their stars must be free to give some of it back."""
    return re.compile(_KEY.join(fnmatch.translate(piece)[:-2] for piece in part.split(KEY)), re.IGNORECASE)
