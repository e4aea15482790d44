"""Completion in a shell, made from the parser: commands, options, their choices, files where files are meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import shtab

from kernels.spec import operators

_MEANT = {"DIR": shtab.DIRECTORY} | dict.fromkeys(("FILE", "PATH", "IN", "OUT"), shtab.FILE)


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell: bash, zsh or fish. It asks darkroom nothing later, so that a Tab takes no time."""
    for command, action in _actions(parser):
        if action.metavar in _MEANT:
            action.complete = _MEANT[str(action.metavar)]  # type: ignore[attr-defined]  # what shtab looks for
        if (command, action.dest) == ("darkroom operators", "name"):
            action.choices = list(operators())
    made: str = shtab.complete(parser, shell)
    return made


def _actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Every argument of every command, with the words of the command."""
    for action in parser._actions:  # argparse has no other way to ask
        yield parser.prog, action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
