"""The commands that work on pictures: run, check, apply, export."""

from __future__ import annotations

import argparse
import faulthandler
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.words import OK, USAGE, Commands, add, lengthy, log_errors, say_json
from daemon.counted import counted
from daemon.errors import ConfigError
from daemon.shown import say

if TYPE_CHECKING:
    from daemon.model import Config


def add_commands(commands: Commands) -> None:
    """Add them."""
    run = add(commands, "run", _run, "work: the daemon, until Ctrl-C", config=True)
    run.add_argument("--once", action="store_true", help="take everything that is there, finish it, stop")
    run.add_argument("--dry-run", action="store_true", help="say what would be done with it, and touch nothing")
    run.add_argument("--json", action="store_true", help="with --dry-run: for programs")

    check = add(commands, "check", _check, "validate config.yaml: every fault and every doubt at once", config=True)
    check.add_argument("--strict", action="store_true", help="let warnings count as faults")
    check.add_argument(
        "--explain", metavar="FILE", nargs="+", type=Path, help="say what each rule would do with it, and do nothing"
    )

    apply = add(commands, "apply", _apply, "process files once, without daemon or ledger")
    apply.add_argument("steps", metavar="STEPS", help="YAML: 'mosaic: {block: 8}' or '[grayscale, mosaic]'")
    apply.add_argument("inputs", metavar="IN", nargs="*", type=Path, help="pictures")
    apply.add_argument(
        "--input", dest="roles", metavar="ROLE=PATH", action="append", default=[], help="for a task: a picture by role"
    )
    apply.add_argument("-o", "--output", metavar="OUT", required=True, help="a file, or a folder for several")

    export = add(commands, "export", _export, "write the ONNX files and a parity report", config=True)
    export.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("exported"), help="a folder; default: exported"
    )


def _run(options: argparse.Namespace) -> int:
    if options.dry_run:
        return _dry_run(options)
    if options.json:
        raise ConfigError(["darkroom run: --json goes with --dry-run; add that, or ask `darkroom status --json`"])
    from daemon.config import load_config
    from daemon.journal.lasting import outlive_readers
    from daemon.service import Service

    log_errors(options.debug)
    faulthandler.enable()  # a crash, or a watchdog's SIGABRT, says where every thread was
    outlive_readers()
    status = Service(load_config(options.config), once=options.once, debug=options.debug).run()
    sys.stdout.flush()
    return status


def _dry_run(options: argparse.Namespace) -> int:
    from daemon.config import load_config
    from daemon.foresight.dry_run import dry_run

    log_errors(options.debug)
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # a lease we test for may be broken; see scan.being_written
    found = dry_run(load_config(options.config))
    for folder, problem in found.trouble.items():
        say(f"{folder}: {problem}", error=True)
    if options.json:
        say_json(found.as_json())
    else:
        say(*found.lines())
    return OK


def _check(options: argparse.Namespace) -> int:
    from daemon.config import check_config, load_config

    if options.explain and not options.strict:
        return _explain(load_config(options.config), options)
    config, found = check_config(options.config)
    for each in found:
        say(each.text(str(options.config)), error=True)
    doubts = sum(each.warns for each in found)
    if config is None:
        return USAGE
    if options.explain:
        _explain(config, options)
    told = f", {counted(doubts, 'warning')}" if doubts else ""
    say(f"{options.config}: {counted(len(config.rules), 'rule')}, no faults{told}")
    return USAGE if doubts and options.strict else OK


def _explain(config: Config, options: argparse.Namespace) -> int:
    from daemon.foresight.explaining import explain

    log_errors(options.debug)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    for line in explain(config, options.explain):  # each file may be read whole
        say(line)
    return OK


def _apply(options: argparse.Namespace) -> int:
    lengthy(options)
    from daemon.oneshot import apply

    for number in (signal.SIGTERM, signal.SIGHUP):  # what it has begun is cleared away, as after Ctrl-C
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    return apply(options.steps, options.inputs, options.roles, options.output)


def _export(options: argparse.Namespace) -> int:
    lengthy(options)
    from daemon.config import load_config
    from daemon.exporting import export

    return export(load_config(options.config), options.output)
