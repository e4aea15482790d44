"""`darkroom redo`: pictures once more, by their rule as it is now. An edit of a rule leaves what is done alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing

from daemon.asking.answers import check_rule
from daemon.changing.retrying import named, opened, put_back, ready_line
from daemon.control.asker import NoAnswerError, ask
from daemon.counted import counted
from daemon.editing.edits import ANSWER_WITHIN
from daemon.errors import ConfigError, DarkroomError
from daemon.intake.scan import look
from daemon.ledger import ASKED_AGAIN, Arrival, Ledger
from daemon.model import Config, Job, Member, State
from daemon.rulebook import homeless
from daemon.shown import say

OPEN = "on the way already"
GONE = "the source is gone"
CHANGED = "the source has changed and makes a new job by itself"


def redo(config: Config, ids: Sequence[int], rule: str | None) -> int:
    """Enter new jobs for finished ones, those named or every newest one of a rule. The exit status."""
    _be_in_force(config)
    with closing(opened(config.state_dir)) as ledger:
        check_rule(config.rule_names, ledger, rule)
        jobs = _newest(ledger, named(ledger, ids)) if ids else ledger.newest_of_rule(rule or "")
        members = ledger.members([job.id for job in jobs])
        left = Counter[str]()
        again = [job for job in jobs if not _let_be(config, job, members.get(job.id, ()), left, strict=bool(ids))]
        _enter(ledger, again, members)
    say(ready_line(config, len(again)), *(f"not {counted(number, 'job')}: {why}" for why, number in left.items()))
    return 0


def _be_in_force(config: Config) -> None:
    """The edit that the user may just have saved comes first. Raises ConfigError with its faults."""
    try:
        answer = ask(config.state_dir, "reload", patience=ANSWER_WITHIN + 2)
    except NoAnswerError:
        return  # no daemon: the next one reads the file
    if answer["faults"]:
        raise ConfigError(answer["faults"])


def _newest(ledger: Ledger, jobs: Sequence[Job]) -> Sequence[Job]:
    newest = ledger.newest(jobs)
    if old := [job for job in jobs if newest[job.id] != job.id]:
        raise DarkroomError(f"job {old[0].id} is of older content; the newest of its file is job {newest[old[0].id]}")
    return jobs


def _let_be(config: Config, job: Job, members: Sequence[Member], left: Counter[str], *, strict: bool) -> str | None:
    """Why a job is not done again; None: it is. `strict`: it was named, so that this is an error."""
    why = _obstacle(config, job, members)
    if why is not None and strict:
        raise DarkroomError(f"job {job.id} ({job.relative}) cannot be done again: {why}")
    if why is not None:
        left[why] += 1
    return why


def _obstacle(config: Config, job: Job, members: Sequence[Member]) -> str | None:
    if job.state in (State.WAITING, State.RUNNING):
        return OPEN
    if job.lacks is not None:
        return "the group is not whole, and makes a new job by itself once it is"
    if (reason := homeless(config.rules_by_name().get(job.rule), job, members)) is not None:
        return reason
    files = [(member.path, member.fingerprint) for member in members] or [(job.path, job.fingerprint)]
    for path, version in files:
        if (now := look("", path)) is None:
            return GONE
        if now.fingerprint != version:
            return CHANGED
    return None


def _enter(ledger: Ledger, jobs: Sequence[Job], members: dict[int, tuple[Member, ...]]) -> None:
    """What is done gets a new job: its own says what became of it. What failed or was skipped goes on with its own."""
    done = [job for job in jobs if job.state is State.DONE]
    others = [job for job in jobs if job.state is not State.DONE]
    put_back(ledger, others)
    ledger.add([_anew(job, members.get(job.id, ())) for job in reversed(done)])


def _anew(job: Job, members: tuple[Member, ...]) -> Arrival:
    return Arrival(job.rule, job.root, job.relative, job.fingerprint, ASKED_AGAIN, members, again=True)
