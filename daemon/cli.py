"""The command line: words in, a call, an exit status. What the commands do lives in the rooms they import.

Imports are made by the command that needs them: `darkroom jobs` must not load a codec to answer.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

# NumPy's BLAS starts a thread a core that spins for work; nothing here multiplies matrices in this process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from daemon.cli_weights import add_weights
from daemon.errors import ConfigError, DarkroomError
from daemon.model import State

OK, FAILED, USAGE, NOT_RUNNING = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Errors are one line on stderr; a traceback only with `--debug`."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names of files need not be UTF-8
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.DEBUG if options.debug else logging.ERROR)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE
    except DarkroomError as error:
        return _fail(f"darkroom: {error}", options.debug)
    except BrokenPipeError:
        _forget_output()  # `darkroom jobs | head` is no error
        return OK
    except OSError as error:
        _forget_output()
        return _fail(f"darkroom: {error.filename or 'standard output'}: {error.strerror}", options.debug)
    except KeyboardInterrupt:
        return 130


def _forget_output() -> None:
    """Let what is still buffered for standard output go nowhere: Python would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, debug: bool) -> int:
    print(text, file=sys.stderr)
    if debug:
        logging.exception("the traceback")
    return FAILED


# -- commands ----------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    gc.disable()  # while modules load, every search for cycles is in vain; the service turns it on again
    from daemon.config import load_config
    from daemon.display import make_display
    from daemon.service import Service

    status = Service(load_config(options.config), make_display(), once=options.once).run()
    sys.stdout.flush()
    return status


def _check(options: argparse.Namespace) -> int:
    from daemon.config import load_config

    config = load_config(options.config)
    print(f"{options.config}: {len(config.rules)} rules, no faults")
    return OK


def _apply(options: argparse.Namespace) -> int:
    from daemon.oneshot import apply

    for number in (signal.SIGTERM, signal.SIGHUP):  # what it has begun is cleared away, as after Ctrl-C
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    return apply(options.steps, options.inputs, options.roles, options.output)


def _export(options: argparse.Namespace) -> int:
    from daemon.config import load_config
    from daemon.exporting import export

    return export(load_config(options.config), options.output)


def _operators(options: argparse.Namespace) -> int:
    from daemon.answers import operators_text

    print(operators_text(options.name))
    return OK


def _status(options: argparse.Namespace) -> int:
    from daemon.answers import status_of, status_text
    from daemon.config import load_config

    status = status_of(load_config(options.config))
    print(_json(status) if options.json else status_text(status))
    return OK if status["running"] else NOT_RUNNING


def _jobs(options: argparse.Namespace) -> int:
    from daemon.answers import job_lines, jobs_of
    from daemon.config import load_config

    jobs = jobs_of(load_config(options.config), options.state and State(options.state), options.rule, options.limit)
    for line in _json_lines(jobs) if options.json else job_lines(jobs):
        print(line)
    return OK


def _why(options: argparse.Namespace) -> int:
    from daemon.config import load_config
    from daemon.why import why

    known, lines = why(load_config(options.config), options.path)
    print("\n".join(lines))
    return OK if known else FAILED


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


def _doctor(options: argparse.Namespace) -> int:
    from daemon.doctor import examine

    report = examine(options.config)
    print(_json(report.as_json()) if options.json else "\n".join(report.lines()))
    return FAILED if report.faults else OK


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def _json_lines(values: Sequence[object]) -> Iterator[str]:
    """A list, one value a line: indented, ten thousand jobs with their measurements would take seconds."""
    import json

    yield "["
    for number, value in enumerate(values, 1):
        yield json.dumps(value, ensure_ascii=False) + ("," if number < len(values) else "")
    yield "]"


# -- the words ---------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error does."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="darkroom", description="A batch-processing daemon for pictures.")
    parser.add_argument("--debug", action="store_true", help="tell more, and show tracebacks")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _add(commands, "run", _run, "work: the daemon, until Ctrl-C", config=True)
    run.add_argument("--once", action="store_true", help="take everything that is there, finish it, stop")

    _add(commands, "check", _check, "validate config.yaml: every fault at once", config=True)

    apply = _add(commands, "apply", _apply, "process files once, without daemon or ledger")
    apply.add_argument("steps", metavar="STEPS", help="YAML: 'mosaic: {block: 8}' or '[grayscale, mosaic]'")
    apply.add_argument("inputs", metavar="IN", nargs="*", type=Path, help="pictures")
    apply.add_argument(
        "--input", dest="roles", metavar="ROLE=PATH", action="append", default=[], help="for a task: a picture by role"
    )
    apply.add_argument("-o", "--output", metavar="OUT", required=True, help="a file, or a folder for several")

    operators = _add(commands, "operators", _operators, "every step with parameters, bounds, units, defaults")
    operators.add_argument("name", metavar="NAME", nargs="?", help="tell everything about one step")

    export = _add(commands, "export", _export, "write the ONNX files and a parity report", config=True)
    export.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("exported"), help="default: exported")

    status = _add(commands, "status", _status, "rules, counts, throughput, the device in use", config=True)
    status.add_argument("--json", action="store_true")

    jobs = _add(commands, "jobs", _jobs, "jobs, newest first", config=True)
    jobs.add_argument("--state", choices=list(State), metavar="S", help=", ".join(State))
    jobs.add_argument("--rule", metavar="R")
    jobs.add_argument("--limit", type=int, default=-1, metavar="N", help="at most N")
    jobs.add_argument("--json", action="store_true")

    why = _add(commands, "why", _why, "all that was decided about a file, and why", config=True)
    why.add_argument("path", metavar="PATH", type=Path)

    retry = _add(commands, "retry", _retry, "run failed, skipped or cancelled jobs again", config=True)
    retry.add_argument("jobs", metavar="JOB", nargs="*", type=int)
    retry.add_argument("--rule", metavar="R", help="every failed job of a rule")
    retry.add_argument("--all-failed", action="store_true")

    cancel = _add(commands, "cancel", _cancel, "take waiting jobs off the list, stop running tasks", config=True)
    cancel.add_argument("jobs", metavar="JOB", nargs="+", type=int)

    doctor = _add(commands, "doctor", _doctor, "what this machine can do, tried out; what mends what it cannot")
    doctor.add_argument("-c", "--config", metavar="FILE", type=Path, help="default: config.yaml, if it is there")
    doctor.add_argument("--json", action="store_true")

    add_weights(commands, _add)
    return parser


def _add(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
    *,
    config: bool = False,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    if config:
        parser.add_argument(
            "-c", "--config", metavar="FILE", type=Path, default=Path("config.yaml"), help="default: config.yaml"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
