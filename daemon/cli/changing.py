"""The commands that change what the daemon does: retry, redo, cancel, reload, relocate."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from daemon.cli.words import NOT_RUNNING, OK, Commands, add
from daemon.errors import ConfigError
from daemon.shown import say


def add_commands(commands: Commands) -> None:
    """Add them."""
    retry = add(commands, "retry", _retry, "run failed, skipped or cancelled jobs again", config=True)
    retry.add_argument("jobs", metavar="JOB", nargs="*", type=int, help="by the numbers that `darkroom jobs` shows")
    retry.add_argument("--rule", metavar="R", help="every failed job of a rule")
    retry.add_argument("--all-failed", action="store_true", help="every failed job")

    redo = add(commands, "redo", _redo, "process pictures again by their rule as it is now", config=True)
    redo.add_argument("jobs", metavar="JOB", nargs="*", type=int, help="by the numbers that `darkroom jobs` shows")
    redo.add_argument("--rule", metavar="R", help="every picture of a rule")

    cancel = add(commands, "cancel", _cancel, "take waiting jobs off the list, stop running tasks", config=True)
    cancel.add_argument("jobs", metavar="JOB", nargs="+", type=int, help="by the numbers that `darkroom jobs` shows")

    add(commands, "reload", _reload, "have the daemon read config.yaml now, and tell what came of it", config=True)

    relocate = add(commands, "relocate", _relocate, "tell the ledger that files were moved or copied", config=True)
    relocate.add_argument("old", metavar="FROM", type=Path, help="the folder that the ledger knows")
    relocate.add_argument("new", metavar="TO", type=Path, help="where it is now; FROM again if only copied back")


def _retry(options: argparse.Namespace) -> int:
    from daemon.asking.whereabouts import in_use
    from daemon.changing.retrying import retry
    from daemon.config import load_config

    config = in_use(load_config(options.config))
    if not (options.jobs or options.rule or options.all_failed):
        raise ConfigError(["darkroom retry: name jobs, or --rule R, or --all-failed"])
    return retry(config, options.jobs, options.rule)


def _redo(options: argparse.Namespace) -> int:
    from daemon.asking.whereabouts import in_use
    from daemon.changing.redoing import redo
    from daemon.config import load_config

    if not (options.jobs or options.rule):
        raise ConfigError(["darkroom redo: name jobs, or --rule R"])
    return redo(in_use(load_config(options.config)), options.jobs, options.rule)


def _reload(options: argparse.Namespace) -> int:
    from daemon.asking.whereabouts import find
    from daemon.control.asker import NoAnswerError
    from daemon.editing.edits import ANSWER_WITHIN
    from daemon.life.lock import alive, holder
    from daemon.unit.starting import how_to_start

    there = find(options.config)
    try:
        answer = there.ask("reload", patience=ANSWER_WITHIN + 2)
    except NoAnswerError as error:
        remedy = f"{how_to_start(options.config)} starts one"
        if alive(there.state_dir):
            remedy = f"process {holder(there.state_dir)} is one: it starts, ends, or hangs"
        say(f"darkroom: {error}; {remedy}", error=True)
        return NOT_RUNNING
    if answer["faults"]:
        raise ConfigError(answer["faults"])
    since = datetime.fromtimestamp(answer["since"]).strftime("%Y-%m-%d %H:%M:%S")
    say(f"{answer['path']} is in force since {since}", *answer["changes"])  # another, where two share a state_dir
    if answer["held_back"]:
        say(f"in force after the next start of darkroom: {', '.join(answer['held_back'])}")
    return OK


def _cancel(options: argparse.Namespace) -> int:
    from daemon.asking.whereabouts import find
    from daemon.changing.retrying import cancel

    return cancel(find(options.config), options.jobs)


def _relocate(options: argparse.Namespace) -> int:
    from daemon.changing.relocating import relocate
    from daemon.config import load_config

    say(relocate(load_config(options.config), options.old, options.new))
    return OK
