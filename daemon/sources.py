"""What becomes of a source once its output is durable: kept, deleted, or moved. Never before (law 4)."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.ledger import Ledger
from daemon.model import Job, Rule, SourceAction
from daemon.naming import fields_of
from daemon.outputs import discard, numbered, put_in_place, sync_file, sync_folders, temporary_for
from daemon.scan import fingerprint_of
from daemon.template import Template


class Sources:
    """Deletes or moves the sources that are due. One that cannot be is told of, and left to the next start."""

    def __init__(self, rules: Mapping[str, Rule], ledger: Ledger, complain: Callable[[str], None]) -> None:
        self._rules = {name: rule for name, rule in rules.items() if not rule.keeps_source}
        self._ledger = ledger
        self._complain = complain
        self._stuck = set[int]()

    def dispose(self) -> None:
        """Deal with every source of a done job that no other rule has yet to read."""
        if not self._rules:
            return
        due = [job for job in self._ledger.source_due() if job.rule in self._rules and job.id not in self._stuck]
        outcome: dict[bool, list[int]] = {True: [], False: []}
        for job in due:
            try:
                outcome[_dispose_one(self._ledger, job, self._rules[job.rule])].append(job.id)
            except (OSError, DarkroomError) as error:
                self._stuck.add(job.id)
                self._tell(job, error)
        for gone, jobs in outcome.items():
            self._ledger.source_settled(jobs, gone=gone)

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
    """Move a source, never over another file; its new place is remembered, lest it be taken as a new picture there."""
    wanted = to.render(fields_of(job))
    Path(wanted).parent.mkdir(parents=True, exist_ok=True)
    for number in count():
        target = numbered(wanted, number)
        try:
            _move_to(job, target)
            break
        except FileExistsError:
            continue
    sync_folders({os.path.dirname(target), os.path.dirname(job.path)})
    ledger.record_receipt(target, job.id, fingerprint_of(Path(target).stat()))


def _move_to(job: Job, target: str) -> None:
    if os.path.lexists(target) and Path(target).samefile(job.path):
        Path(job.path).unlink()  # killed between the link and the unlink of an earlier try
        return
    try:
        put_in_place(job.path, target, exclusive=True)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_across(job, target)


def _copy_across(job: Job, target: str) -> None:
    """Move to another file system: the copy is durable under its final name before the source goes."""
    temporary = temporary_for(target, job.id)
    try:
        shutil.copy2(job.path, temporary)
        sync_file(temporary)
        put_in_place(temporary, target, exclusive=True)
    except OSError:
        discard(temporary)
        raise
    Path(job.path).unlink()
