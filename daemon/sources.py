"""What becomes of a source once its output is durable: kept, deleted, or moved. Never before (law 4)."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.ledger import Ledger
from daemon.model import Job, Rule, SourceAction, State
from daemon.naming import fields_of
from daemon.outputs import discard, make_folder, numbered, put_in_place, sync_file, sync_folders, temporary_for
from daemon.scan import fingerprint_of
from daemon.template import Template


class Sources:
    """Deletes or moves the sources that are due. One that cannot be is told of, and left to the next start."""

    def __init__(self, rules: Sequence[Rule], ledger: Ledger, complain: Callable[[str], None]) -> None:
        self._takers = [(rule, str(root)) for rule in rules for root in rule.watch]
        self._rules = {rule.name: rule for rule in rules if not rule.keeps_source}
        self._ledger = ledger
        self._complain = complain
        self._stuck = set[int]()

    def dispose(self) -> None:
        """Deal with every source of a done job that no other rule has yet to read."""
        due = self._ledger.source_due() if self._rules else []
        outcome: dict[bool, list[int]] = {True: [], False: []}
        for job in due:
            if job.rule not in self._rules or job.id in self._stuck or self._awaited(job):
                continue
            try:
                outcome[_dispose_one(self._ledger, job, self._rules[job.rule])].append(job.id)
            except (OSError, DarkroomError) as error:
                self._stuck.add(job.id)
                self._tell(job, error)
        for gone, jobs in outcome.items():
            self._ledger.source_settled(jobs, gone=gone)

    def _awaited(self, job: Job) -> bool:
        """Whether a rule, also one that watches a folder above or below, takes this file and has not finished it."""
        for rule, root in self._takers:
            relative = job.path[len(root) + 1 :]
            if rule.name != job.rule and job.path.startswith(f"{root}/") and rule.takes(relative):
                jobs = [each for each in self._ledger.of_source(root, relative) if each.rule == rule.name]
                known = [each for each in jobs if each.fingerprint == job.fingerprint]
                if not known or known[-1].state in (State.WAITING, State.RUNNING):
                    return True
        return False

    def _tell(self, job: Job, error: Exception) -> None:
        problem = error.strerror if isinstance(error, OSError) else str(error)
        verb = "deleted" if self._rules[job.rule].source.action is SourceAction.DELETE else "moved"
        remedy = "give the daemon's user permission and restart"
        self._complain(f"{job.path}: done, but the source cannot be {verb} ({problem}); {remedy}")


def _dispose_one(ledger: Ledger, job: Job, rule: Rule) -> bool:
    """True if the source is gone now; False if it holds new content, which another job is about."""
    path = Path(job.path)
    try:
        if fingerprint_of(path.stat()) != job.fingerprint:
            return False
    except FileNotFoundError:
        return True
    if rule.source.action is SourceAction.MOVE and rule.source.to is not None:
        _move(ledger, job, rule.source.to)
    elif rule.source.action is SourceAction.DELETE:
        path.unlink()
    return True


def _move(ledger: Ledger, job: Job, to: Template) -> None:
    """Move a source, never over another file.

    Its new place is recorded before it is there, lest it be taken as a new picture: a move keeps the fingerprint.
    """
    wanted = to.render(fields_of(job))
    make_folder(Path(wanted).parent)
    for number in count():
        target = numbered(wanted, number)
        if os.path.lexists(target) and not Path(target).samefile(job.path):
            continue
        ledger.record_receipt(target, job.id, job.fingerprint)
        try:
            _move_to(ledger, job, target)
            break
        except FileExistsError:
            ledger.forget_output(target)
    sync_folders({os.path.dirname(target), os.path.dirname(job.path)})


def _move_to(ledger: Ledger, job: Job, target: str) -> None:
    if os.path.lexists(target) and Path(target).samefile(job.path):
        Path(job.path).unlink()  # killed between the link and the unlink of an earlier try
        return
    try:
        put_in_place(job.path, target, exclusive=True)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_across(ledger, job, target)


def _copy_across(ledger: Ledger, job: Job, target: str) -> None:
    """Move to another file system: the copy is durable under its final name before the source goes."""
    temporary = temporary_for(target, job.id)
    try:
        shutil.copy2(job.path, temporary)
        sync_file(temporary)
        ledger.record_receipt(target, job.id, fingerprint_of(Path(temporary).stat()))
        put_in_place(temporary, target, exclusive=True)
    except OSError:
        discard(temporary)
        raise
    sync_folders({os.path.dirname(target)})
    Path(job.path).unlink()
