"""The words of `darkroom service`; without one it shows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from daemon.cli.words import FAILED, OK, Commands, add
from daemon.errors import ConfigError
from daemon.shown import say
from daemon.unit.values import NAME


def add_commands(commands: Commands) -> None:
    """Add `service`."""
    service = add(commands, "service", _service, "the systemd unit: show, install, uninstall", config=True)
    service.add_argument(
        "action", nargs="?", choices=["install", "uninstall", "show"], default="show", metavar="ACTION",
        help="install: write the unit, start it; uninstall: stop it, remove the unit; show: print it (default)",
    )  # fmt: skip
    service.add_argument("--user", action="store_true", help="of your own service manager, not of the machine")
    service.add_argument("--name", default=NAME, metavar="NAME", help="of the unit, where there are several")
    service.add_argument("--run-as", metavar="USER", help="default: the owner of FILE; darkroom, if that is root")
    service.add_argument("--no-start", action="store_true", help="install: write the unit, and do no more")


def _service(options: argparse.Namespace) -> int:
    from daemon.unit import installing

    wish = installing.Wish(Path(options.config), options.name, options.user, options.run_as, start=not options.no_start)
    try:
        if options.action == "show":
            print(installing.show(wish), end="")
        elif options.action == "install":
            installing.install(wish, _tell)
        else:
            installing.uninstall(wish, _tell)
    except ConfigError as error:  # `check` tells more by its exit status; here the unit is what was asked for
        say(*error.faults, error=True)
        return FAILED
    return OK


def _tell(line: str) -> None:
    say(line)
    sys.stdout.flush()
