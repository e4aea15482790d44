"""What the commands share: exit statuses, a parser that says what is wrong in one line, and answers as JSON."""

from __future__ import annotations

import argparse
import gc
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from daemon.shown import shown
from kernels.parameters import suggest

OK, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3
LACKING = "the following arguments are required: "
"""How argparse begins."""
JSON = "as JSON, for programs"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error does, and what was perhaps meant."""

    def error(self, message: str) -> NoReturn:
        if message.startswith(LACKING):
            message = f"{message.removeprefix(LACKING)} is missing"
        self.exit(USAGE, f"{self.prog}: {shown(message)}; see {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Each command refuses what it does not know: the parser of all commands could not say what was meant."""
        if self._subparsers is None:  # a misspelt option before its value, which else is taken for another argument
            self._check_options(args or ())
        else:  # those before the command; it looks after its own
            self._check_options(list(itertools.takewhile(lambda word: word.startswith("-"), args or ())))
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._check_options(unknown)
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _check_options(self, words: Sequence[str]) -> None:
        for word in itertools.takewhile(lambda word: word != "--", words):
            name, known = word.partition("=")[0], self._option_string_actions
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                self.error(f"{name} is not an option here; {suggest(name, known)}")
            if self._subparsers is not None and not name.startswith("--") and name not in known:
                self.error(f"{name} is not an option here; those of a command stand after it")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """One of `choices`, where argparse itself only lists them."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"{value!r} is not known; {suggest(value, map(str, action.choices))}")


class Version(argparse.Action):
    """Tells which darkroom this is, and ends. It is found out only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from daemon.version import darkroom_version

        print(f"darkroom {darkroom_version()}")
        parser.exit()


def log_errors(debug: bool) -> None:
    """Have of what libraries log only errors told, with `debug` all. For commands that use those: this takes time."""
    import logging

    logging.basicConfig(format="%(message)s", level=logging.DEBUG if debug else logging.ERROR)


def lengthy(options: argparse.Namespace) -> None:
    """For commands that work for longer: cycles are searched for again, and libraries log errors only."""
    gc.enable()
    log_errors(options.debug)


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
            "-c",
            "--config",
            metavar="FILE",
            type=Path,
            default=Path("config.yaml"),
            help="the configuration; default: config.yaml",
        )
    return parser


def as_json(value: object) -> str:
    """An answer for programs, in ASCII: it is the same in every locale, and no name does anything to a terminal."""
    import json

    return json.dumps(value, indent=2)


def say_json(value: object) -> None:
    """Print it."""
    print(as_json(value))


def say_json_lines(values: Sequence[object]) -> None:
    """Print a list, one value a line: indented, ten thousand jobs with their measurements would take seconds."""
    import json

    lines = ",\n".join(map(json.dumps, values))
    print(f"[\n{lines}\n]" if values else "[\n]")
