"""darkroom(1): the command line, from its parser."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path

from daemon.cli import parser
from manual import roff

_TEXT = """
darkroom watches folders. A rule in `config.yaml` says what happens to the pictures that appear in them; finished
pictures appear in another folder. Every file is processed at least once, its output is published exactly once, and no
source is touched before its output is durable.

The file is described in `darkroom-config`(5). Faults of it are told by every command that reads it, each with line,
column and remedy.
"""
_STATUS = {
    "0": "It is done.",
    "1": "It failed, wholly or in part; standard error says what, where, and what to do.",
    "2": "The command line or the configuration is wrong (`service` and `doctor` end with 1 for a configuration).",
    "3": "`status`, `reload`: no daemon runs here, or none answers.",
}
_EXAMPLES = """
darkroom check
darkroom run
darkroom why inbox/mosaic/cat.jpg
darkroom apply '[grayscale, gaussian_blur: {sigma: 3}]' photo.jpg -o out/
source <(darkroom completion bash)
"""
_FILES = {
    "config.yaml": "What is done with which pictures; read from the current folder, if `-c` names no other one.",
    "var/ledger.db": "Every job and every decision about it; `var` is the default of `state_dir`.",
}


def version() -> str:
    """The version of the checkout, which need not be installed."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def page() -> str:
    """The page, as troff source."""
    whole = parser()
    return "\n".join([*_head(whole), *_commands(whole), *_tail()]) + "\n"


def _head(whole: argparse.ArgumentParser) -> Iterator[str]:
    yield roff.title("darkroom", 1, version(), "darkroom")
    yield roff.name("darkroom", "a batch-processing daemon for pictures")
    yield roff.heading("SYNOPSIS")
    yield synopsis(whole)
    yield roff.heading("DESCRIPTION")
    yield roff.prose(_TEXT.strip())
    yield roff.heading("OPTIONS")
    yield roff.item(roff.bold("-h, --help"), "Tell what there is, here or for one command.")
    yield from _arguments(whole)


def _commands(whole: argparse.ArgumentParser) -> Iterator[str]:
    yield roff.heading("COMMANDS")
    for command in commands(whole):
        yield roff.subheading(command.prog)
        yield synopsis(command)
        yield ".PP"
        yield roff.prose(command.description or "")
        yield from _arguments(command)


def _tail() -> Iterator[str]:
    yield roff.heading("EXIT STATUS")
    yield from (roff.item(roff.bold(status), text) for status, text in _STATUS.items())
    yield roff.heading("FILES")
    yield from (roff.item(roff.italic(name), text) for name, text in _FILES.items())
    yield roff.heading("EXAMPLES")
    yield roff.example(_EXAMPLES)
    yield roff.heading("SEE ALSO")
    yield f"{roff.bold('darkroom-config')}(5)"


def commands(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command, each before those below it."""
    for action in of._actions:  # argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command
                yield from commands(command)


def arguments(of: argparse.ArgumentParser) -> list[argparse.Action]:
    """What a command takes, but for --help and the commands below it."""
    kinds = (argparse._HelpAction, argparse._SubParsersAction)
    return [action for action in of._actions if not isinstance(action, kinds)]


def synopsis(of: argparse.ArgumentParser) -> str:
    """A command with all that it takes, on one line."""
    below = any(isinstance(action, argparse._SubParsersAction) for action in of._actions)
    given = [_usage(action) for action in sorted(arguments(of), key=lambda action: not action.option_strings)]
    return " ".join([roff.bold(of.prog), *given, *([roff.italic("COMMAND") + " ..."] if below else [])])


def _usage(action: argparse.Action) -> str:
    if action.option_strings:
        name, value = roff.bold(action.option_strings[0]), _value(action)
        text = f"{name} {value}" if value else name
        return text if action.required else f"[{text}]"
    return _repeated(roff.italic(str(action.metavar or action.dest)), action)


def _repeated(text: str, action: argparse.Action) -> str:
    """A value, as often as it may be given."""
    return {"?": f"[{text}]", "*": f"[{text} ...]", "+": f"{text} ..."}.get(str(action.nargs), text)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return _repeated(roff.italic(str(action.metavar or action.dest.upper())), action)


def _arguments(of: argparse.ArgumentParser) -> Iterator[str]:
    for action in arguments(of):
        names = ", ".join(map(roff.bold, action.option_strings)) or roff.italic(str(action.metavar))
        value = _value(action) if action.option_strings else ""
        yield roff.item(f"{names} {value}".rstrip(), action.help or "")
