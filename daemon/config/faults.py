"""What is wrong with config.yaml, and where: the lines that `darkroom check` prints."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from daemon.shown import shown

Where: TypeAlias = tuple[str | int, ...]  # the way to a value: keys and indices


class Place(NamedTuple):
    """A place in the file: line and column, both counted from 1, columns in characters."""

    line: int = 1
    column: int = 1


class Fault(NamedTuple):
    """One thing wrong with the file; sorts by place. `where` is a dotted path, or `yaml` or `file` for the whole.

    One that only `warns` is a doubt: darkroom works with such a file.
    """

    place: Place
    where: str
    problem: str
    remedy: str
    warns: bool = False

    def text(self, file: str) -> str:
        """The fault as one line: `FILE:LINE:COL: dotted.path: what is wrong; what would be right`."""
        problem = f"warning: {self.problem}" if self.warns else self.problem
        return shown(f"{file}:{self.place.line}:{self.place.column}: {self.where}: {problem}; {self.remedy}")


def dotted(where: Where) -> str:
    """A path as the user reads it: `rules[0].steps[1].mosaic.block`; a key that is not one word stands in quotes."""
    text = ""
    for step in where:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            word = step if len(step) <= 40 else f"{step[:37]}..."
            text += ("." if text else "") + (word if re.fullmatch(r"[\w.-]+", word) else repr(word))
    return text or "file"


def place_of(text: str, index: int) -> Place:
    """The place of the character with this index."""
    return Place(text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1)
