"""The commands that only tell: status, jobs, why, operators, doctor."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

from daemon.cli.words import FAILED, JSON, NOT_RUNNING, OK, Commands, add, as_json, json_lines
from daemon.state import State


def add_commands(commands: Commands) -> None:
    """Add them."""
    status = add(commands, "status", _status, "rules, counts, throughput, the device in use", config=True)
    status.add_argument("--json", action="store_true", help=JSON)

    jobs = add(commands, "jobs", _jobs, "jobs, newest first", config=True)
    jobs.add_argument("--state", choices=list(State), metavar="S", help=", ".join(State))
    jobs.add_argument("--rule", metavar="R", help="those of one rule")
    jobs.add_argument("--limit", type=int, default=-1, metavar="N", help="at most N")
    jobs.add_argument("--json", action="store_true", help=JSON)

    why = add(commands, "why", _why, "all that was decided about a file, and why", config=True)
    why.add_argument("path", metavar="PATH", type=Path, help="a picture, or what darkroom made of it")

    operators = add(commands, "operators", _operators, "every step with parameters, bounds, units, defaults")
    operators.add_argument("name", metavar="NAME", nargs="?", help="tell everything about one step")

    doctor = add(commands, "doctor", _doctor, "what this machine can do, tried out; what mends what it cannot")
    doctor.add_argument(
        "-c", "--config", metavar="FILE", type=Path, help="the configuration; default: config.yaml, if it is there"
    )
    doctor.add_argument("--json", action="store_true", help=JSON)


def _operators(options: argparse.Namespace) -> int:
    from daemon.answers import operators_text

    print(operators_text(options.name))
    return OK


def _status(options: argparse.Namespace) -> int:
    from daemon.status import status_lines, status_of

    status = status_of(options.config)
    print(as_json(status) if options.json else "\n".join(status_lines(status)))
    return OK if status["running"] else NOT_RUNNING


def _jobs(options: argparse.Namespace) -> int:
    from daemon.answers import job_lines, jobs_of
    from daemon.config import load_config
    from daemon.whereabouts import in_use

    config = in_use(load_config(options.config))
    jobs = jobs_of(config, options.state and State(options.state), options.rule, options.limit)
    for line in json_lines(jobs) if options.json else job_lines(jobs):
        print(line)
    return OK


def _why(options: argparse.Namespace) -> int:
    from daemon.config import load_config
    from daemon.whereabouts import in_use
    from daemon.why import why

    known, lines = why(in_use(load_config(options.config)), options.path)
    print("\n".join(lines))
    return OK if known else FAILED


def _doctor(options: argparse.Namespace) -> int:
    gc.enable()
    from daemon.doctor import examine

    report = examine(options.config)
    print(as_json(report.as_json()) if options.json else "\n".join(report.lines()))
    return FAILED if report.faults else OK
