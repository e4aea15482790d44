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
from pathlib import Path

from daemon.errors import DarkroomError, writing_failed
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Intent, Ledger, Move
from daemon.model import Job, Rule, State
from daemon.pipeline.meters import NO_METERS, Meters, Stage
from daemon.publishing import findings, receipts
from daemon.publishing.entries import entry_of, same_file
from daemon.publishing.outputs import discard, put_in_place, sync_file, sync_folders
from daemon.publishing.placement import Encoded, Placement, Taken, status_of
from daemon.publishing.sources import Sources
from daemon.publishing.tidying import remove_ours
from daemon.rulebook import Rulebook
from daemon.tasks.results import suffixes_of
from kernels.chain import task_of

Ended = Callable[[Job, Move], None]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A result with its renames, the output's first."""

    encoded: Encoded
    intents: tuple[Intent, ...]


class Publisher:
    """Publishes groups of results, one group at a time. `ended(job, move)` is told of every job that left `running`.

    `failed(job, rule, error)` decides what becomes of a job that could not be published (retry, wait, or fail).
    """

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        *,
        complain: Callable[[str], None],
        ended: Ended,
        failed: Callable[[Job, Rule, DarkroomError], object],
        meters: Meters = NO_METERS,
    ) -> None:
        self._ledger = ledger
        self.sources = Sources(rulebook, ledger, complain)
        self._ended = ended
        self._failed = failed
        self._placement = Placement(rulebook, ledger)
        self._rulebook = rulebook
        self._meters = meters

    def publish(self, group: Sequence[Encoded]) -> list[Encoded]:
        """Publish results; those whose target another of the group has already taken are handed back for the next.

        Raises BlockedError, before anything was renamed, when the ledger cannot record the intents.
        """
        current = self._drop_replaced(group)
        self._report([item for item in current if not item.parts])
        placed, later = self._place([item for item in current if item.parts])
        with self._meters.timed(Stage.SYNC):
            placed = self._sync(placed)
        moves = {item.encoded.job.id: item.encoded.done for item in placed}
        self._ledger.intend([intent for item in placed for intent in item.intents], moves)
        renamed = self._rename(placed, later)
        sync_folders({os.path.dirname(item.intents[0].target) for item in renamed})
        self.record(renamed)
        return later

    def record(self, renamed: Sequence[_Placed]) -> None:
        """Mark published jobs done, then deal with their sources. Everything here may safely be done twice."""
        done = self._done([item.encoded for item in renamed])
        moves = [replace(move, output=item.intents[0].target) for move, item in zip(done, renamed, strict=True)]
        recorded = list[tuple[Intent, Move | None]]()
        for item, move in zip(renamed, moves, strict=True):
            recorded += [(intent, None if intent.part else move) for intent in item.intents]
        self._ledger.complete(recorded)
        self._end([item.encoded for item in renamed], moves)

    def _report(self, group: Sequence[Encoded]) -> None:
        """Results without files: done as soon as the ledger has their numbers, durably if a source is to go."""
        moves = self._done(group)
        if moves:
            self._ledger.advance(moves, durable=any(move.source_due for move in moves))
            self._end(group, moves)

    def _done(self, group: Sequence[Encoded]) -> list[Move]:
        """The moves of results. A source is due only if the rule in force, too, deletes or moves sources."""
        if not self._rulebook.edited:
            return [item.done for item in group]
        names = self._ledger.rules_of([item.job for item in group])
        rules = self._rulebook.rules
        acting = {job for job, name in names.items() if name in rules and not rules[name].keeps_source}
        return [replace(each.done, source_due=each.done.source_due and each.job.id in acting) for each in group]

    def _end(self, group: Sequence[Encoded], moves: Sequence[Move]) -> None:
        for item, move in zip(group, moves, strict=True):
            self._ended(item.job, move)
        receipts.remove(self._ledger, [item.job for item in group])
        self._remove_outdated(group, moves)
        self.sources.dispose_soon()

    def _remove_outdated(self, group: Sequence[Encoded], moves: Sequence[Move]) -> None:
        """What lay beside an output and does not belong to the new one says something untrue: ours is removed."""
        names = dict[str, str]()
        for item, move in zip(group, moves, strict=True):
            now = {part.suffix for part in item.parts}
            possible = (findings.SUFFIX, *suffixes_of(task_of(item.rule.chain)))
            names |= {f"{move.output}{each}": item.job.path for each in possible if move.output and each not in now}
        remove_ours(self._ledger, names)

    # -- deciding ------------------------------------------------------------------------------------------------

    def _drop_replaced(self, group: Sequence[Encoded]) -> list[Encoded]:
        newest = self._ledger.newest([item.job for item in group])
        for item in group:
            if newest[item.job.id] != item.job.id:
                item.discard()
                self._skip(item.job, f"replaced by newer content while it ran (job {newest[item.job.id]})")
        return [item for item in group if newest[item.job.id] == item.job.id]

    def _place(self, group: Sequence[Encoded]) -> tuple[list[_Placed], list[Encoded]]:
        """The final name of each result, by the rule's `on_conflict`."""
        records = self._placement.written([item.target for item in group])
        placed, later, taken = list[_Placed](), list[Encoded](), set[str]()
        for item in group:
            if entry_of(item.target) in taken:
                later.append(item)
                continue
            try:
                intents = self._placement.intents(item, records.get(item.target), taken)
            except DarkroomError as error:
                item.discard()
                if isinstance(error, Taken):
                    self._skip(item.job, str(error))
                else:
                    self._failed(item.job, item.rule, error)
                continue
            taken |= {entry_of(intent.target) for intent in intents}
            placed.append(_Placed(item, intents))
        return placed, later

    # -- doing ---------------------------------------------------------------------------------------------------

    def _sync(self, items: Iterable[_Placed]) -> list[_Placed]:
        """Make the temporary files durable; those for which that fails leave the group with their error."""
        good = list[_Placed]()
        for item in items:
            try:
                for intent in item.intents:
                    sync_file(intent.temporary)
                good.append(item)
            except OSError as error:
                self._give_up(item, intent, error)
        return good

    def _rename(self, items: Iterable[_Placed], later: list[Encoded]) -> list[_Placed]:
        """Rename into place. A name that somebody took in this moment is chosen anew with the next group."""
        good = list[_Placed]()
        for item in items:
            job, placed = item.encoded.job.id, list[Intent]()
            try:
                for intent in item.intents:  # the output first: only its name can be taken in this moment
                    put_in_place(intent.temporary, intent.target, exclusive=intent.exclusive)
                    placed.append(intent)
                good.append(item)
            except FileExistsError:
                self._ledger.withdraw([job])
                later.append(item.encoded)
            except OSError as error:
                self._ledger.withdraw([job], placed=placed)
                self._give_up(item, intent, error)
        return good

    def _give_up(self, item: _Placed, intent: Intent, error: OSError) -> None:
        item.encoded.discard()
        self._failed(item.encoded.job, item.encoded.rule, writing_failed(intent.target, error))

    def _skip(self, job: Job, reason: str) -> None:
        move = Move(job.id, State.SKIPPED, reason)
        self._ledger.advance([move])
        self._ended(job, move)

    # -- after a kill --------------------------------------------------------------------------------------------

    def recover(self) -> tuple[int, int]:
        """Finish what a killed run began: (renames finished, jobs handed back to run again). Call before any claim.

        By what the ledger says alone, since the rules may be others by now. Sources wait until it knows those.
        """
        intents = self._ledger.intents()
        finished = self._finish_all(intents)
        sync_folders({str(Path(intent.target).parent) for intent in finished})
        due = self._ledger.source_promised([intent.job for intent in finished])
        moves = [None if intent.part else _recovered(intent, intent.job in due) for intent in finished]
        self._ledger.complete(list(zip(finished, moves, strict=True)))
        stopped = self._ledger.jobs(state=State.RUNNING)
        reason = "handed back: darkroom ended while it ran"
        self._ledger.advance([Move(job.id, State.WAITING, reason) for job in reversed(stopped)])
        return len(finished), len(stopped)

    def _finish_all(self, intents: Sequence[Intent]) -> list[Intent]:
        """Finish the renames of each job; those of a job whose every file is in its place by then."""
        by_job: dict[int, list[Intent]] = {}
        for intent in intents:
            by_job.setdefault(intent.job, []).append(intent)
        finished = list[Intent]()
        for job, parts in by_job.items():
            placed = [intent for intent in parts if self._finish(intent)]
            if len(placed) == len(parts):
                finished += parts
                continue
            self._ledger.withdraw([job], placed=placed)
            for intent in parts:
                discard(intent.temporary)
        return finished

    def _finish(self, intent: Intent) -> bool:
        """Finish a rename that was certain. Only the very file that was meant, in its place, proves it has happened."""
        with contextlib.suppress(OSError):  # whatever the cause: the proof below fails, and the job runs again
            if same_file(intent.temporary, intent.target):
                discard(intent.temporary)  # killed between the link and the unlink
            elif os.path.lexists(intent.temporary):
                put_in_place(intent.temporary, intent.target, exclusive=intent.exclusive)
        status = status_of(intent.target)
        return status is not None and fingerprint_of(status) == intent.fingerprint


def _recovered(intent: Intent, due: bool) -> Move:
    return Move(intent.job, State.DONE, "published; recorded after a restart", output=intent.target, source_due=due)
