"""The commands that only tell: status, jobs, why, operators, doctor."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from daemon.cli.words import FAILED, JSON, NOT_RUNNING, OK, Commands, add, lengthy, say_json, say_json_lines
from daemon.errors import DarkroomError
from daemon.shown import say
from daemon.state import State


def add_commands(commands: Commands) -> None:
    """Add them."""
    status = add(commands, "status", _status, "rules, counts, throughput, the device in use", config=True)
    status.add_argument("--json", action="store_true", help=JSON)

    jobs = add(commands, "jobs", _jobs, "jobs, newest first", config=True)
    jobs.add_argument("--state", choices=list(State), metavar="S", help=", ".join(State))
    jobs.add_argument("--rule", metavar="R", help="those of one rule")
    jobs.add_argument("--limit", type=_limit, default=-1, metavar="N", help="at most N")
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
    from daemon.asking.answers import operators_text

    say(*operators_text(options.name).splitlines())
    return OK


def _status(options: argparse.Namespace) -> int:
    from daemon.asking.status import status_lines, status_of

    status = status_of(options.config)
    if options.json:
        say_json(status)
    else:
        say(*status_lines(status))
    return OK if status["running"] else NOT_RUNNING


def _jobs(options: argparse.Namespace) -> int:
    from daemon.asking.answers import job_lines, jobs_of
    from daemon.asking.whereabouts import find

    state, there = options.state and State(options.state), find(options.config)
    jobs = jobs_of(there.state_dir, lambda: there.load().rule_names(), state, options.rule, options.limit)
    if options.json:
        say_json_lines(jobs)
    else:
        say(*job_lines(jobs))
    return OK


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs; give 1 or more")
    return int(text)


def _why(options: argparse.Namespace) -> int:
    known, lines = _told_why(options.config, os.path.abspath(options.path))
    say(*lines)
    return OK if known else FAILED


def _told_why(config: Path, picture: str) -> tuple[bool, list[str]]:
    """By the rules in force, where a daemon lives that may be asked; else by those of the file."""
    from daemon.asking.whereabouts import find

    there = find(config)
    try:
        answer = there.ask("why", path=picture)
        return answer["known"], answer["lines"]
    except DarkroomError:
        from daemon.asking.why import why

        return why(there.load(), picture, live=lambda rule: {})


def _doctor(options: argparse.Namespace) -> int:
    lengthy(options)
    from daemon.doctor import examine

    report = examine(options.config)
    if options.json:
        say_json(report.as_json())
    else:
        say(*report.lines())
    return FAILED if report.faults else OK
