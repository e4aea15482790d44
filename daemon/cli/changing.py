"""The commands that change what becomes of jobs: retry, cancel."""

from __future__ import annotations

import argparse

from daemon.cli.words import Commands, add
from daemon.errors import ConfigError


def add_commands(commands: Commands) -> None:
    """Add them."""
    retry = add(commands, "retry", _retry, "run failed, skipped or cancelled jobs again", config=True)
    retry.add_argument("jobs", metavar="JOB", nargs="*", type=int, help="by the numbers that `darkroom jobs` shows")
    retry.add_argument("--rule", metavar="R", help="every failed job of a rule")
    retry.add_argument("--all-failed", action="store_true", help="every failed job")

    cancel = add(commands, "cancel", _cancel, "take waiting jobs off the list, stop running tasks", config=True)
    cancel.add_argument("jobs", metavar="JOB", nargs="+", type=int, help="by the numbers that `darkroom jobs` shows")


def _retry(options: argparse.Namespace) -> int:
    from daemon.asking import retry
    from daemon.config import load_config

    config = load_config(options.config)
    if not (options.jobs or options.rule or options.all_failed):
        raise ConfigError(["darkroom retry: name jobs, or --rule R, or --all-failed"])
    return retry(config, options.jobs, options.rule)


def _cancel(options: argparse.Namespace) -> int:
    from daemon.asking import cancel
    from daemon.config import load_config

    return cancel(load_config(options.config), options.jobs)
