"""The words of `darkroom weights`, which has commands of its own; without one it lists."""

from __future__ import annotations

import argparse
from pathlib import Path

from daemon.cli.words import JSON, Commands, lengthy, say_json
from daemon.cli.words import add as adding
from daemon.shown import say
from kernels.features.kinds import KINDS

NAMES = ", ".join(KINDS)


def add_commands(commands: Commands) -> None:
    """Add `weights`."""
    weights = adding(commands, "weights", _list, "feature networks for style transfer: which there are")
    weights.add_argument("--json", action="store_true", help=JSON)
    inner = weights.add_subparsers(title="commands", metavar="COMMAND")

    listing = adding(inner, "list", _list, "which networks there are, where, from what source")
    # Suppressed: a default here would take back the --json that stood before `list`.
    listing.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=JSON)

    add = adding(inner, "add", _add, "take a file with VGG-19 in it: .mat, .pth or .safetensors")
    add.add_argument("file", metavar="FILE", type=Path, help="as it was downloaded; what it holds is found out")

    fetch = adding(inner, "fetch", _fetch, "download a network's weights, check and add them")
    fetch.add_argument("name", choices=list(KINDS), metavar="NAME", help=NAMES)
    fetch.add_argument("--from", dest="url", metavar="URL", help="default: where they were published")
    for command in (add, fetch):
        command.add_argument(
            "--convention", choices=["caffe", "torchvision"], help="whose input the weights expect, if they do not tell"
        )

    verify = adding(inner, "verify", _verify, "read stored weights through: are they as they were made?")
    verify.add_argument("name", nargs="?", choices=list(KINDS), metavar="NAME", help=NAMES)


def _list(options: argparse.Namespace) -> int:
    from daemon.weights.weights import list_lines, listed

    if options.json:
        say_json(listed())
    else:
        say(*list_lines())
    return 0


def _add(options: argparse.Namespace) -> int:
    lengthy(options)
    from daemon.weights.weights import add

    say(add(options.file, options.convention))
    return 0


def _fetch(options: argparse.Namespace) -> int:
    lengthy(options)
    from daemon.weights.fetching import fetch

    say(fetch(options.name, options.url, options.convention))
    return 0


def _verify(options: argparse.Namespace) -> int:
    lengthy(options)
    from daemon.weights.weights import verify

    sound, lines = verify(options.name)
    say(*lines)
    return 0 if sound else 1
