"""The commands that tell other programs what there is to write: schema (for editors), completion (for shells)."""

from __future__ import annotations

import argparse
from pathlib import Path

from daemon.cli.words import OK, Commands, add, as_json
from daemon.errors import DarkroomError
from daemon.shown import say

SHELLS = ("bash", "zsh", "fish")


def add_commands(commands: Commands) -> None:
    """Add them."""
    schema = add(commands, "schema", _schema, "the JSON Schema of config.yaml, for editors")
    schema.add_argument("-o", "--output", metavar="FILE", type=Path, help="a file to write it to; default: print it")

    completion = add(commands, "completion", _completion, "a script that completes commands and options in a shell")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def _schema(options: argparse.Namespace) -> int:
    from daemon.config.schema import editor_schema

    text = as_json(editor_schema())
    if options.output is None:
        print(text)
    else:
        try:
            options.output.write_text(f"{text}\n", encoding="ascii")
        except OSError as error:
            why = f"{options.output}: cannot be written ({error.strerror})"
            raise DarkroomError(f"{why}; name a file in a folder that is there and that you may write") from error
        say(f"wrote {options.output}; put this line first in config.yaml:")
        say(f"# yaml-language-server: $schema={options.output}")
    return OK


def _completion(options: argparse.Namespace) -> int:
    from daemon.cli import parser
    from daemon.cli.completion import script

    print(script(parser(), options.shell))
    return OK
