"""The words of a command: read and checked once, then filled in for each event. No shell is involved."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daemon.hooks.values import Word
from daemon.publishing.template import Field, tokens_of
from daemon.unfit import UnfitError
from kernels.parameters import show

EXAMPLE = 'write a list of words, as in ["notify-send", "{rule}"], or ["sh", "-c", "..."] for a line of shell'
SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "fish"})
INTERPRETERS = SHELLS | {"python", "python3", "perl", "ruby", "node"}
_SCRIPT_FOLLOWS = re.compile(r"-[a-zA-Z]*[ce]")


class CommandUnfit(ValueError):
    """Words of a command that cannot be used: `faults` by their index, which counts from 0."""

    def __init__(self, faults: Mapping[int, UnfitError]) -> None:
        super().__init__(", ".join(map(str, faults.values())))
        self.faults = faults


def command_of(raw: object, fields: Iterable[str]) -> tuple[Word, ...]:
    """The words of a command, of which all but the program may have these fields.

    Raises UnfitError if it is no command at all, CommandUnfit with all that is wrong with its words.
    """
    if not isinstance(raw, list):
        raise UnfitError("it is not a list", EXAMPLE)
    if not raw:
        raise UnfitError("it is empty", EXAMPLE)
    words, faults = list[Word](), dict[int, UnfitError]()
    for index, word in enumerate(raw):
        try:
            words.append(_word([str(each) for each in raw[:index]], word, fields))
        except UnfitError as error:
            faults[index] = error
    if faults:
        raise CommandUnfit(faults)
    return tuple(words)


def _word(before: Sequence[str], raw: object, fields: Iterable[str]) -> Word:
    if isinstance(raw, dict):
        raise UnfitError("without quotes, text that starts with { is a mapping to YAML", 'write "{rule}"')
    if not isinstance(raw, str):
        raise UnfitError(f"{show(raw)} is not text", f'put it in quotes: "{raw}"')
    if "\0" in raw:
        raise UnfitError("the word holds a NUL character", "remove it")
    if not before:
        return (_program(raw),)
    if _is_script(before):
        return (_script(raw, fields),)
    return tuple(tokens_of(raw, fields, "rule"))


def _program(raw: str) -> str:
    if not raw.strip():
        raise UnfitError("the program has no name", "name one, such as notify-send, or the path of one")
    if "{" in raw or "}" in raw:
        raise UnfitError("the program cannot depend on the event", "name it, and put fields into the words behind it")
    path = os.path.expanduser(raw)
    if path.startswith("~"):
        raise UnfitError(f"the home folder {path.split('/')[0]} is not known", "write the whole path")
    return path


def _is_script(before: Sequence[str]) -> bool:
    """Whether the word after these is a program by itself, in the language of one of them."""
    known = any(os.path.basename(word) in INTERPRETERS for word in before)
    return known and bool(_SCRIPT_FOLLOWS.fullmatch(before[-1]))


def _script(raw: str, fields: Iterable[str]) -> str:
    """Taken as it stands: with a name of a picture in it, the name would be run."""
    for name in fields:
        if f"{{{name}}}" in raw:
            variable = f"DARKROOM_{name.upper()}"
            problem = f"{{{name}}} in a script: the name of a picture could be run as a command"
            raise UnfitError(problem, f'use the environment, as in sh\'s "${variable}", quotes included')
    return raw


# -- filled in ---------------------------------------------------------------------------------------------------------


def filled(command: Sequence[Word], values: Mapping[str, Any]) -> list[bytes]:
    """The words as a process gets them; names that are not UTF-8 are the bytes that they are."""
    return [_raw(_guarded("".join(_text(piece, values) for piece in word), word)) for word in command]


def _text(piece: str | Field, values: Mapping[str, Any]) -> str:
    return piece if isinstance(piece, str) else str(values[piece.name])


def _guarded(text: str, word: Word) -> str:
    """A picture may be called `--help.png`; what starts so by its name alone must not be taken for an option."""
    return f"./{text}" if text.startswith("-") and word[:1] == (Field("picture"),) else text


def environment_of(values: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The same for the environment: `DARKROOM_RULE` and so on."""
    return {f"DARKROOM_{name.upper()}".encode(): _raw(str(value)) for name, value in values.items()}


def _raw(text: str) -> bytes:
    text = text.replace("\0", "\\0")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # half of a pair of surrogates, out of some message
        return text.encode(errors="backslashreplace")
