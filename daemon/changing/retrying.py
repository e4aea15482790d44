"""`darkroom retry` and `darkroom cancel`: what a user may ask for jobs, from a process beside the daemon."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from daemon.asking.answers import check_rule
from daemon.asking.whereabouts import Whereabouts
from daemon.control.asker import NoAnswerError
from daemon.counted import counted
from daemon.errors import ConfigError, DarkroomError
from daemon.ledger import ASKED_AGAIN, IllegalMoveError, Ledger, Move
from daemon.ledger.reading import ReadLedger, is_there
from daemon.life.lock import alive
from daemon.model import Config, Job, Rule, State
from daemon.rulebook import homeless
from daemon.shown import say
from daemon.unit.starting import how_to_start

CANCELLED = "asked for by the user: cancelled"
AGAIN_FROM = (State.FAILED, State.SKIPPED, State.CANCELLED)
STOPPED_WITHIN = 5.0
"""Seconds to wait for a daemon to stop tasks: it takes two, unless its machine is very busy."""


def retry(config: Config, ids: Sequence[int], rule: str | None) -> int:
    """Put jobs back; without ids, every failed one (of a rule). The exit status."""
    ledger = opened(config.state_dir)
    with closing(ledger):
        check_rule(config.rule_names, ledger, rule)
        jobs = _ended_badly(named(ledger, ids)) if ids else ledger.jobs(State.FAILED, rule)
        jobs = _whole(jobs, named=bool(ids))
        jobs = _at_home(config, ledger, jobs, named=bool(ids))
        put_back(ledger, jobs)
    say(ready_line(config, len(jobs)))
    return 0


def put_back(ledger: Ledger, jobs: Sequence[Job]) -> None:
    """Have jobs that ended done once more, even if their last output stands."""
    ledger.advance(
        [Move(job.id, State.WAITING, ASKED_AGAIN, attempts=0, only_from=AGAIN_FROM, again=True) for job in jobs]
    )


def ready_line(config: Config, jobs: int) -> str:
    """What was put back, and what else it takes."""
    what = f"{counted(jobs, 'job')} {State.WAITING.value} again"
    if not jobs or alive(config.state_dir):
        return what
    return f"{what}; {how_to_start(config.path)} takes {'it' if jobs == 1 else 'them'} up"


def cancel(there: Whereabouts, ids: Sequence[int]) -> int:
    """Take waiting jobs off the list, and have running tasks stopped. The exit status: 1 if one could not be.

    Beside a daemon also while config.yaml has faults: a task that runs away need not wait for that to be mended.
    A picture on its way through a graph is done in a moment and is not stopped: it would come out twice if retried.
    """
    ledger = opened(there.state_dir)
    with closing(ledger):
        jobs, running = _take_off(ledger, ids, _tasks(there))
        left = _stop(there.state_dir, ledger, running)
        asked = {job.id for job in left if ledger.cancel_asked(job.id)}
    say(f"{counted(len(jobs) - len(left), 'job')} {State.CANCELLED.value}")
    for job in left:
        told = "; the daemon is asked to stop it, and has not answered yet" if job.id in asked else ""
        say(f"job {job.id} is {job.state.value}: {job.reason}{told}")
    return 1 if left else 0


def _tasks(there: Whereabouts) -> Callable[[Job], bool]:
    """Whether a running job is a task. It began by its rule as that was then: the daemon knows what it runs."""
    rules: Mapping[str, Rule] = {}
    with contextlib.suppress(ConfigError):  # they tell of one that was claimed, and is not begun yet
        rules = there.load().rules_by_name()
    try:
        running = {task["job"] for task in there.ask("status")["tasks"]}
    except NoAnswerError:
        return lambda job: job.rule not in rules or rules[job.rule].is_task
    return lambda job: job.id in running or (job.rule in rules and rules[job.rule].is_task)


def _take_off(ledger: Ledger, ids: Sequence[int], is_task: Callable[[Job], bool]) -> tuple[list[Job], list[int]]:
    """Cancel those that wait; all of the jobs, and which of them are running tasks. Raises if one can be neither."""
    jobs = named(ledger, ids)
    running = [job.id for job in jobs if job.state is State.RUNNING and is_task(job)]
    others = [job.id for job in jobs if job.id not in running]
    try:
        ledger.advance([Move(job, State.CANCELLED, CANCELLED, only_from=(State.WAITING,)) for job in others])
    except IllegalMoveError:
        if named(ledger, ids) == jobs:
            raise
        return _take_off(ledger, ids, is_task)  # the daemon took one, or handed one back, in this moment
    return jobs, running


def _stop(state_dir: Path, ledger: Ledger, running: Sequence[int]) -> list[Job]:
    """Have running tasks cancelled by their daemon, or, where none lives, in its place; those that were not."""
    if not running:
        return []
    if alive(state_dir):
        ledger.ask_to_cancel(running)
        deadline = time.monotonic() + STOPPED_WITHIN
        while any(ledger.cancel_asked(job) for job in running) and time.monotonic() < deadline:
            time.sleep(0.05)
    else:
        certain = {intent.job for intent in ledger.intents()}  # the next start finishes their publishing
        stopped = [job for job in running if job not in certain]
        ledger.advance([Move(job, State.CANCELLED, CANCELLED, only_from=(State.RUNNING,)) for job in stopped])
    return [job for job in ledger.jobs(ids=running) if job.state is not State.CANCELLED]


def _ended_badly(jobs: Sequence[Job]) -> Sequence[Job]:
    """Raises DarkroomError with what fits if one of the jobs, which the user named, has nothing to be tried again."""
    if others := [job for job in jobs if job.state not in AGAIN_FROM]:
        job = others[0]
        what = f"`darkroom redo {job.id}` does it anew" if job.state is State.DONE else "it is on its way already"
        raise DarkroomError(f"job {job.id} is {job.state.value}; {what}")
    return jobs


def _whole(jobs: Sequence[Job], *, named: bool) -> list[Job]:
    """The jobs that can run again. A group that is not whole cannot; if it was asked for by name, that is an error."""
    if named and (broken := [job for job in jobs if job.lacks is not None]):
        job = broken[0]
        raise DarkroomError(
            f"job {job.id} ({job.relative}) is not whole: {job.lacks}; a new job starts by itself once it is"
        )
    return [job for job in jobs if job.lacks is None]


def _at_home(config: Config, ledger: Ledger, jobs: Sequence[Job], *, named: bool) -> list[Job]:
    """The jobs that their rule, as it is now, takes; if another was asked for by name, that is an error."""
    rules, members = config.rules_by_name(), ledger.members([job.id for job in jobs])
    reasons = {job.id: homeless(rules.get(job.rule), job, members.get(job.id, ())) for job in jobs}
    if named and (lost := [job for job in jobs if reasons[job.id]]):
        raise DarkroomError(f"job {lost[0].id} ({lost[0].relative}) cannot run again: {reasons[lost[0].id]}")
    return [job for job in jobs if reasons[job.id] is None]


def opened(state_dir: Path) -> Ledger:
    """The ledger, to be written. Raises DarkroomError where there is none yet.

    One of an older schema is brought up to date, but not below a daemon that lives: it is of that schema, and would
    end. It is told to be restarted.
    """
    path = state_dir / "ledger.db"
    if not is_there(path):
        raise DarkroomError(f"{state_dir}: there are no jobs yet")
    if alive(state_dir):
        ReadLedger(path).close()  # raises OlderLedgerError
    return Ledger(path)


def named(ledger: Ledger, ids: Sequence[int]) -> list[Job]:
    """These jobs. Raises DarkroomError if there is no such job."""
    jobs = ledger.jobs(ids=ids)
    if unknown := sorted(set(ids) - {job.id for job in jobs}):
        raise DarkroomError(f"no job {unknown[0]}; `darkroom jobs` lists them")
    return jobs
