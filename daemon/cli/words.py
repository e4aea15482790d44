"""What the commands share: exit statuses, a parser that says what is wrong in one line, and answers as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

OK, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error does."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


Commands: TypeAlias = "argparse._SubParsersAction[Any]"
"""Where commands are added."""


def add(
    commands: Commands,
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
    *,
    config: bool = False,
) -> argparse.ArgumentParser:
    """Add a command that does `text` by calling `command`, which gives the exit status; `config`: it reads one."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    if config:
        parser.add_argument(
            "-c", "--config", metavar="FILE", type=Path, default=Path("config.yaml"), help="default: config.yaml"
        )
    return parser


def as_json(value: object) -> str:
    """An answer for programs."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def json_lines(values: Sequence[object]) -> Iterator[str]:
    """A list, one value a line: indented, ten thousand jobs with their measurements would take seconds."""
    import json

    yield "["
    for number, value in enumerate(values, 1):
        yield json.dumps(value, ensure_ascii=False) + ("," if number < len(values) else "")
    yield "]"
