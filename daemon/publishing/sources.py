"""What becomes of a source once its output is durable: kept, deleted, or moved. Never before (law 4)."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence, Set
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

from daemon.errors import DarkroomError, remedy_of
from daemon.groups.groups import places_of
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger
from daemon.life.threads import beat
from daemon.model import Fingerprint, Job, Member, Rule, SourceAction, State
from daemon.publishing.entries import same_entry, same_file
from daemon.publishing.naming import fields_of
from daemon.publishing.outputs import (
    discard,
    make_folder,
    numbered,
    put_in_place,
    sync_file,
    sync_folders,
    temporary_for,
)
from daemon.publishing.template import Template
from daemon.rulebook import Rulebook

REST = 19
"""Looking through the sources that are due takes a twentieth of the time at most, apart from what is done with them."""
LATEST = 60.0
"""Seconds after which they are looked through again all the same."""


class _File(NamedTuple):
    """A file that a done job was made of, and its version then."""

    path: str
    fingerprint: Fingerprint


class Sources:
    """Deletes or moves the sources that are due. One that cannot be is told of, and left to the next start.

    The rules in force decide: where one was changed to keep its sources, or is gone, those still due stay.
    """

    def __init__(self, rulebook: Rulebook, ledger: Ledger, complain: Callable[[str], None]) -> None:
        self._rulebook = rulebook
        self._ledger = ledger
        self._complain = complain
        self._stuck = set[int]()
        self._next = 0.0

    def dispose_soon(self) -> None:
        """`dispose`, but only now and then where looking through all that are due takes long.

        Sources that wait for a slower rule may be thousands, and would be looked at after each group published.
        """
        if (began := time.monotonic()) >= self._next:
            acted = self.dispose()
            self._next = time.monotonic() + min(LATEST, REST * (time.monotonic() - began - acted))

    def dispose(self) -> float:
        """Deal with every source of a done job that no other rule has yet to read.

        Returns the seconds that deleting and moving took: to another disk, minutes are nothing unusual.
        """
        acted = 0.0
        rules = self._rulebook.rules
        due = self._ledger.source_due() if not all(rule.keeps_source for rule in rules.values()) else []
        members = self._ledger.members([job.id for job in due])
        outcome: dict[bool, list[int]] = {True: [], False: []}
        real = cache(os.path.realpath)
        for job in due:
            files = _files(job, members.get(job.id, ()))
            rule = rules.get(job.rule)
            if rule is None or rule.keeps_source or job.id in self._stuck:
                continue
            if any(self._awaited(job, each, rules, real) for each in files):
                continue
            fixed = {str(each.fixed) for rule in rules.values() for each in rule.inputs if each.fixed}
            beat()
            began = time.monotonic()
            try:
                gone = [self._dispose_one(job, rule, each, fixed) for each in files]
                outcome[all(gone)].append(job.id)
            except (OSError, DarkroomError) as error:
                self._stuck.add(job.id)
                self._tell(job, rule, error)
            acted += time.monotonic() - began
        for gone_all, jobs in outcome.items():
            self._ledger.source_settled(jobs, gone=gone_all)
        return acted

    def _awaited(self, job: Job, file: _File, rules: Mapping[str, Rule], real: Callable[[str], str]) -> bool:
        """Whether a rule, also one that watches a folder above or below, takes this file and has not finished it."""
        entry = os.path.join(real(os.path.dirname(file.path)), os.path.basename(file.path))
        for rule, root in [(each, str(root)) for each in rules.values() for root in each.watch]:
            above = f"{real(root)}/"
            relative = entry.removeprefix(above)
            if rule.name != job.rule and entry.startswith(above) and rule.takes(relative):
                known = self._jobs_of(rule, root, relative, file)
                # A job that lost its home while its rule was away is none: the file is taken anew.
                known = None if known is None else [each for each in known if not each.gone]
                if known is not None and (not known or known[-1].state in (State.WAITING, State.RUNNING)):
                    return True
        return False

    def _jobs_of(self, rule: Rule, root: str, relative: str, file: _File) -> list[Job] | None:
        """The jobs of a rule about this version of a file; None where the rule makes none of such a file."""
        if not rule.inputs:
            jobs = [each for each in self._ledger.of_source(root, relative) if each.rule == rule.name]
            return [each for each in jobs if each.fingerprint == file.fingerprint]
        if not any(places_of(rule.inputs, relative)):
            return None
        path = f"{root}/{relative}"  # as that rule calls it
        jobs = [each for each in self._ledger.of_member(path) if each.rule == rule.name]
        members = self._ledger.members([each.id for each in jobs])
        versions = {each.id: {(m.path, m.fingerprint) for m in members[each.id]} for each in jobs}
        return [each for each in jobs if (path, file.fingerprint) in versions[each.id]]

    def _dispose_one(self, job: Job, rule: Rule, file: _File, fixed: Set[str]) -> bool:
        """True if the file is gone now; False if it stays: it is `fixed`, or new content, that another job is about."""
        try:
            if file.path in fixed or fingerprint_of(Path(file.path).stat()) != file.fingerprint:
                return False
        except FileNotFoundError:
            return True
        if rule.source.action is SourceAction.MOVE and rule.source.to is not None:
            return _move(self._ledger, job, file, rule.source.to)
        if rule.source.action is SourceAction.DELETE:
            Path(file.path).unlink()
        return True

    def _tell(self, job: Job, rule: Rule, error: Exception) -> None:
        problem, remedy = str(error), "give the daemon's user permission"
        if isinstance(error, OSError):
            problem, remedy = error.strerror or problem, remedy_of(error, remedy)
        verb = "deleted" if rule.source.action is SourceAction.DELETE else "moved"
        self._complain(f"{job.path}: done, but the source cannot be {verb} ({problem}); {remedy}, and restart")


def _files(job: Job, members: Sequence[Member]) -> list[_File]:
    """The files to be dealt with: the source, or those of a group that are its alone."""
    if not members:
        return [_File(job.path, job.fingerprint)]
    return [_File(member.path, member.fingerprint) for member in members if not member.fixed]


def _move(ledger: Ledger, job: Job, file: _File, to: Template) -> bool:
    """Move a source, never over another file; False if it lies there already.

    Its new place is recorded before it is there, lest it be taken as a new picture: a move keeps the fingerprint.
    """
    wanted = to.render(fields_of(job, file=file.path))
    make_folder(Path(wanted).parent)
    for number in count():
        target = numbered(wanted, number)
        if same_entry(file.path, target):
            return False
        if os.path.lexists(target) and not same_file(file.path, target):
            continue
        ledger.record_file(target, job.id, file.fingerprint)
        try:
            _move_to(ledger, job, file.path, target)
            break
        except FileExistsError:
            ledger.forget_output(target)
        except OSError:
            if not os.path.lexists(target):  # else the source would pass for what darkroom wrote
                ledger.forget_output(target)
            raise
    sync_folders({os.path.dirname(target), os.path.dirname(file.path)})
    return True


def _move_to(ledger: Ledger, job: Job, path: str, target: str) -> None:
    if same_file(path, target):
        Path(path).unlink()  # killed between the link and the unlink of an earlier try
        return
    try:
        put_in_place(path, target, exclusive=True)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_across(ledger, job, path, target)


def _copy_across(ledger: Ledger, job: Job, path: str, target: str) -> None:
    """Move to another file system: the copy is durable under its final name before the source goes."""
    temporary = temporary_for(target, job.id)
    try:
        shutil.copy2(path, temporary)
        sync_file(temporary)
        ledger.record_file(target, job.id, fingerprint_of(Path(temporary).stat()))
        put_in_place(temporary, target, exclusive=True)
    except OSError:
        discard(temporary)
        raise
    sync_folders({os.path.dirname(target)})
    Path(path).unlink()
