"""Where a result goes: `outbox/{dir}/{stem}.{ext}`, parsed and checked once, then filled in for each picture.

Whatever a picture is called, the path stays below the folder that the template names before its first field. The
check is lexical; a symbolic link that the user put inside that folder is the user's own decision.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from daemon.errors import OutputRefused
from daemon.unfit import UnfitError, absolute
from kernels.parameters import suggest

FIELDS = {
    "dir": "the folder of the source below the watched one; nothing, not even its slash, for a file right in it",
    "stem": "the file name without its extension",
    "name": "the file name with its extension",
    "ext": "the extension without its dot, in the case it was written",
    "key": "what the files of a group share; only in rules with `inputs`",
    "rule": "the name of the rule",
    "date": "the day it was processed, local time, as 2026-03-09",
    "width": "the width of the result in pixels; 0 where there is none: in `move`, and for the note of a failed job",
    "height": "the height of the result in pixels; 0 likewise",
}
EXTENSIONS = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp")
MAX_NAME = 255  # bytes of one file name: the limit of every common Linux file system
MAX_PATH = 4095  # bytes of a whole path: PATH_MAX of Linux without its closing NUL

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
# Fields are marked with a NUL here, which no template holds: a literal {{name}} is no field.
_ENDING = re.compile(r"(?:\0name|\.\0ext|\.(?:" + "|".join(EXTENSIONS) + r"))\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a template, such as `{stem}`."""

    name: str


Component: TypeAlias = tuple[str | Field, ...]  # what stands between two slashes


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. `text` as the user wrote it; `folder` the absolute fixed part; `parts` what follows it."""

    text: str
    folder: str
    parts: tuple[Component, ...]

    @classmethod
    def parse(cls, text: str, base: Path) -> Template:
        """Parse and check a template; a relative one starts in `base`. Raises UnfitError."""
        tokens = tokens_of(text, FIELDS, "stem")
        fixed, rest = _split(tokens)
        parts = tuple(_components(rest))
        _check(tokens, parts)
        return cls(text, absolute(fixed or ".", base), parts)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that `render` needs."""
        return frozenset(piece.name for part in self.parts for piece in part if isinstance(piece, Field))

    def render(self, fields: Mapping[str, str | int]) -> str:
        """The absolute path for one picture, always inside `folder`.

        Raises OutputRefused if a value would lead outside of it or make a name that no file can have.
        """
        names = [name for part in self.parts for name in _filled(part, fields, self.text)]
        for name in names:
            _check_name(name, self.text)
        path = os.path.normpath(os.path.join(self.folder, *names))
        if not path.startswith(self.folder.rstrip("/") + "/"):
            raise OutputRefused(f"{self.text}: {path!r} lies outside {self.folder}; rename the picture")
        if len(os.fsencode(path)) > MAX_PATH:
            raise OutputRefused(f"{self.text}: the path has more than {MAX_PATH} bytes; use shorter folder names")
        return path

    def writes_over(self, watch: Path) -> bool:
        """Whether a picture lying right in `watch` would be written to its own path."""
        return self._place == (os.path.normpath(watch), ((Field("name"),),))

    def same_place(self, other: Template) -> bool:
        """Whether both templates lead to the same path for every picture right in a watched folder."""
        return self._place == other._place

    @property
    def _place(self) -> tuple[str, tuple[Component, ...]]:
        """The template with what makes no difference taken out: `{dir}` is empty, `{stem}.{ext}` is `{name}`."""
        without = (tuple(piece for piece in part if piece != Field("dir")) for part in self.parts)
        parts = [part for part in without if part]
        name = (Field("name"),) if parts[-1] == (Field("stem"), ".", Field("ext")) else parts[-1]
        return self.folder, (*parts[:-1], name)


def tokens_of(text: str, fields: Iterable[str], example: str) -> list[str | Field]:
    """Literal text and fields, of those there are, in order; neighbouring literals are joined. Raises UnfitError."""
    tokens: list[str | Field] = []
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if piece in ("{", "}"):
            remedy = f"write {piece * 2} for the sign itself, or {{{example}}}"
            raise UnfitError(f"a {piece} without its partner", remedy)
        if match.group(1) is not None:
            tokens.append(_field(match.group(1), fields))
        else:
            literal = piece[0] if piece in ("{{", "}}") else piece
            joined = tokens.pop() if tokens and isinstance(tokens[-1], str) else ""
            tokens.append(f"{joined}{literal}")
    return tokens


def _field(name: str, fields: Iterable[str]) -> Field:
    if name not in fields:
        raise UnfitError(f"{{{name}}} is not a field", suggest(f"{{{name}}}", [f"{{{field}}}" for field in fields]))
    return Field(name)


def _split(tokens: list[str | Field]) -> tuple[str, list[str | Field]]:
    """The folder before the first field, and everything behind it."""
    head = tokens[0] if tokens and isinstance(tokens[0], str) else ""
    folder, slash, start = head.rpartition("/")
    rest = tokens[1:] if head else tokens
    return folder + slash, [start, *rest] if start else list(rest)


def _components(tokens: Iterable[str | Field]) -> list[Component]:
    parts: list[list[str | Field]] = [[]]
    for token in tokens:
        if isinstance(token, Field):
            parts[-1].append(token)
            continue
        first, *more = token.split("/")
        if first:
            parts[-1].append(first)
        parts += [[piece] if piece else [] for piece in more]
    return [tuple(part) for part in (*filter(None, parts[:-1]), parts[-1])]


def _check(tokens: list[str | Field], parts: tuple[Component, ...]) -> None:
    """Refuse what could not work for any picture. Raises UnfitError."""
    literal = "".join(token for token in tokens if isinstance(token, str))
    if "\0" in literal:
        raise UnfitError("the template holds a NUL character", "remove it")
    if not parts[-1]:
        raise UnfitError("the template names a folder and no file", "end it with a file name such as {stem}.{ext}")
    if (".",) in parts[:-1] or ("..",) in parts:
        raise UnfitError('"." or ".." stands behind a field', "move it before the first field, or remove it")
    if not {Field("stem"), Field("name"), Field("key")} & set(tokens):
        raise UnfitError(
            "every picture would be written to the same file",
            "put {stem} or {name} into it, or {key} if the rule has inputs",
        )
    _check_ending(parts[-1])


def _check_ending(name: Component) -> None:
    written = "".join(f"\0{piece.name}" if isinstance(piece, Field) else piece for piece in name)
    if written.startswith(".darkroom-"):
        raise UnfitError("names that start with .darkroom- are temporary and are cleared at start", "use another name")
    if not _ENDING.search(written):
        endings = ", ".join(f".{extension}" for extension in EXTENSIONS)
        raise UnfitError(
            "the file name does not end like a picture that darkroom writes", f"end it with .{{ext}}, {endings}"
        )


def _filled(part: Component, fields: Mapping[str, str | int], text: str) -> list[str]:
    """The names that one component becomes: `{dir}` may be several or none, everything else is one."""
    pieces = []
    for piece in part:
        value = str(fields[piece.name]) if isinstance(piece, Field) else piece
        if "/" in value and piece != Field("dir"):
            raise OutputRefused(f"{text}: the value {value!r} holds a slash; rename the picture")
        pieces.append(value)
    if part == (Field("dir"),) and not pieces[0]:
        return []
    return "".join(pieces).split("/")


def _check_name(name: str, text: str) -> None:
    if name in ("", ".", ".."):
        raise OutputRefused(f"{text}: {name!r} is not a name that a file or folder can have; rename the picture")
    if "\0" in name:
        raise OutputRefused(f"{text}: the name {name!r} holds a NUL character; rename the picture")
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:
        raise OutputRefused(f"{text}: the name {name!r} cannot be written; rename the picture") from None
    if size > MAX_NAME:
        raise OutputRefused(f"{text}: the name {name[:40]!r}... has {size} bytes, {MAX_NAME} fit; rename the picture")
