"""Publishing in groups: many files made durable together, renamed together, recorded in one transaction.

The order is the promise. (1) Temporary files are synced. (2) Their intents are committed, durably. (3) They are
renamed, and the folders synced. (4) The jobs are done. (5) Only now is a source deleted or moved. A kill before 2
leaves nothing but temporary files, and the job is run again; a kill after 2 is finished by `recover`, without running
anything again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from daemon import receipts
from daemon.errors import DarkroomError, OutputRefused, writing_failed
from daemon.ledger import Intent, Ledger, Move, OutputRecord
from daemon.model import Config, Fingerprint, Job, OnConflict, Rule, State
from daemon.outputs import discard, numbered, put_in_place, sync_file, sync_folders
from daemon.scan import fingerprint_of
from daemon.sources import Sources

Ended = Callable[[Job, Move], None]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A result in its temporary file, ready to be published. `done` is the move to make once it is."""

    job: Job
    rule: Rule
    target: str
    temporary: str
    fingerprint: Fingerprint
    done: Move


@dataclass(frozen=True, slots=True)
class _Placed:
    encoded: Encoded
    intent: Intent


class Publisher:
    """Publishes groups of results, one group at a time. `ended(job, move)` is told of every job that left `running`.

    `failed(job, error)` decides what becomes of a job that could not be published (retry, wait, or fail).
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        complain: Callable[[str], None],
        ended: Ended,
        failed: Callable[[Job, DarkroomError], None],
    ) -> None:
        self._ledger = ledger
        self.sources = Sources(config.rules, ledger, complain)
        self._ended = ended
        self._failed = failed
        self._watched = tuple(str(root) for rule in config.rules for root in rule.watch)
        self._rules = config.rules_by_name()

    def publish(self, group: Sequence[Encoded]) -> list[Encoded]:
        """Publish results; those whose target another of the group has already taken are handed back for the next.

        Raises BlockedError, before anything was renamed, when the ledger cannot record the intents.
        """
        current = self._drop_replaced(group)
        placed, later = self._place(current)
        placed = self._sync(placed)
        self._ledger.intend([item.intent for item in placed])
        renamed = self._rename(placed, later)
        sync_folders({os.path.dirname(item.intent.target) for item in renamed})
        self.record(renamed)
        return later

    def record(self, renamed: Sequence[_Placed]) -> None:
        """Mark published jobs done, then deal with their sources. Everything here may safely be done twice."""
        moves = [(item.intent, replace(item.encoded.done, output=item.intent.target)) for item in renamed]
        self._ledger.complete(moves)
        for item, (_, move) in zip(renamed, moves, strict=True):
            self._ended(item.encoded.job, move)
        receipts.remove(self._ledger, [(item.encoded.job, item.encoded.rule.output) for item in renamed])
        self.sources.dispose()

    # -- deciding ------------------------------------------------------------------------------------------------

    def _drop_replaced(self, group: Sequence[Encoded]) -> list[Encoded]:
        newest = self._ledger.newest([item.job for item in group])
        for item in group:
            if newest[item.job.id] != item.job.id:
                discard(item.temporary)
                self._skip(item.job, f"replaced by newer content while it ran (job {newest[item.job.id]})")
        return [item for item in group if newest[item.job.id] == item.job.id]

    def _place(self, group: Sequence[Encoded]) -> tuple[list[_Placed], list[Encoded]]:
        """The final name of each result, by the rule's `on_conflict`."""
        records = self._ledger.written([item.target for item in group])
        placed, later, taken = list[_Placed](), list[Encoded](), set[str]()
        for item in group:
            if item.target in taken:
                later.append(item)
                continue
            try:
                intent = self._intent(item, records.get(item.target), taken)
            except DarkroomError as error:
                discard(item.temporary)
                self._failed(item.job, error)
                continue
            if intent is not None:
                taken.add(intent.target)
                placed.append(_Placed(item, intent))
        return placed, later

    def _intent(self, item: Encoded, record: OutputRecord | None, taken: set[str]) -> Intent | None:
        """The rename to make; None when the job was skipped because its output exists."""
        status = _status(item.target)
        if status is None or _ours(record, item.job, status):
            exclusive = status is None and item.rule.on_conflict is not OnConflict.OVERWRITE
            return _to(item, item.target, exclusive=exclusive)
        if os.path.realpath(item.target) == os.path.realpath(item.job.path):
            raise OutputRefused(f"{item.target}: the output would overwrite its own source; change `output`")
        if item.rule.on_conflict is OnConflict.SKIP:
            discard(item.temporary)
            self._skip(item.job, f"{item.target} exists and is not from this source (on_conflict: skip)")
            return None
        if item.rule.on_conflict is OnConflict.RENAME:
            return self._renamed(item, taken)
        if record is not None and record.fingerprint == fingerprint_of(status) and not item.rule.keeps_source:
            raise OutputRefused(
                f"{item.target}: is the output of {record.source}, and sources are not kept, so nothing would be left"
                " of it; set on_conflict: rename, or put {dir} and {name} into `output`"
            )
        if record is None and self._is_watched(item.target):
            raise OutputRefused(
                f"{item.target}: a file in a watched folder that darkroom did not write stands there;"
                " change `output`, or set on_conflict to rename"
            )
        return _to(item, item.target, exclusive=False)

    def _is_watched(self, target: str) -> bool:
        """Whether a file lies in a watched folder, whatever links lead there."""
        return os.path.realpath(target).startswith(tuple(f"{os.path.realpath(root)}/" for root in self._watched))

    def _renamed(self, item: Encoded, taken: set[str]) -> Intent:
        """`NAME-1`, `NAME-2`, …: the first that is free, or that this source's last output already has."""
        for number in count(1):
            name = numbered(item.target, number)
            status = _status(name)
            ours = status is not None and _ours(self._ledger.written([name]).get(name), item.job, status)
            if name not in taken and (status is None or ours):
                return _to(item, name, exclusive=not ours)
        raise AssertionError("count() has no end")

    # -- doing ---------------------------------------------------------------------------------------------------

    def _sync(self, items: Iterable[_Placed]) -> list[_Placed]:
        """Make the temporary files durable; those for which that fails leave the group with their error."""
        good = list[_Placed]()
        for item in items:
            try:
                sync_file(item.intent.temporary)
                good.append(item)
            except OSError as error:
                self._give_up(item, error)
        return good

    def _rename(self, items: Iterable[_Placed], later: list[Encoded]) -> list[_Placed]:
        """Rename into place. A name that somebody took in this moment is chosen anew with the next group."""
        good = list[_Placed]()
        for item in items:
            intent = item.intent
            try:
                put_in_place(intent.temporary, intent.target, exclusive=intent.exclusive)
                good.append(item)
            except FileExistsError:
                self._ledger.withdraw([intent.job])
                later.append(item.encoded)
            except OSError as error:
                self._ledger.withdraw([intent.job])
                self._give_up(item, error)
        return good

    def _give_up(self, item: _Placed, error: OSError) -> None:
        discard(item.intent.temporary)
        self._failed(item.encoded.job, writing_failed(item.intent.target, error))

    def _skip(self, job: Job, reason: str) -> None:
        move = Move(job.id, State.SKIPPED, reason)
        self._ledger.advance([move])
        self._ended(job, move)

    # -- after a kill --------------------------------------------------------------------------------------------

    def recover(self) -> tuple[int, int]:
        """Finish what a killed run began: (renames finished, jobs handed back to run again). Call before any claim."""
        intents = self._ledger.intents()
        jobs = {job.id: job for job in self._ledger.jobs(ids=[intent.job for intent in intents])}
        finished = [intent for intent in intents if self._finish(intent)]
        sync_folders({str(Path(intent.target).parent) for intent in finished})
        self._ledger.complete([(intent, self._recovered(intent, jobs[intent.job])) for intent in finished])
        stopped = self._ledger.jobs(state=State.RUNNING)
        reason = "handed back: darkroom ended while it ran"
        self._ledger.advance([Move(job.id, State.WAITING, reason) for job in reversed(stopped)])
        self.sources.dispose()
        return len(finished), len(stopped)

    def _finish(self, intent: Intent) -> bool:
        """Finish a rename that was certain. Only the very file that was meant, in its place, proves it has happened."""
        with contextlib.suppress(OSError):  # whatever the cause: the proof below fails, and the job runs again
            if _same_file(intent.temporary, intent.target):
                discard(intent.temporary)  # killed between the link and the unlink
            elif os.path.lexists(intent.temporary):
                put_in_place(intent.temporary, intent.target, exclusive=intent.exclusive)
        status = _status(intent.target)
        if status is not None and fingerprint_of(status) == intent.fingerprint:
            return True
        self._ledger.withdraw([intent.job])
        discard(intent.temporary)
        return False

    def _recovered(self, intent: Intent, job: Job) -> Move:
        rule = self._rules.get(job.rule)
        due = rule is not None and not rule.keeps_source
        return Move(job.id, State.DONE, "published; recorded after a restart", output=intent.target, source_due=due)


def _to(item: Encoded, target: str, *, exclusive: bool) -> Intent:
    return Intent(item.job.id, item.temporary, target, exclusive, item.fingerprint)


def _ours(record: OutputRecord | None, job: Job, status: os.stat_result) -> bool:
    """Whether the file that stands at the target is what darkroom last wrote there from the same source."""
    if record is None or record.rule != job.rule or record.source != job.path:
        return False
    return record.fingerprint == fingerprint_of(status)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _same_file(one: str, other: str) -> bool:
    first, second = _status(one), _status(other)
    return first is not None and second is not None and os.path.samestat(first, second)
