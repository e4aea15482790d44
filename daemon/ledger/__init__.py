"""Every job and every change of its state, in SQLite. The only room that knows sqlite3.

An *intent* to publish is committed durably, because the rename that follows must never be on disk while the intent is
not. Every other transition may be lost with the power and is then simply made again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from daemon.errors import BlockedError
from daemon.ledger import members
from daemon.ledger.adopting import Homeless, adopt
from daemon.ledger.database import Database, numbers, text
from daemon.ledger.jobs import COLUMNS, job_of
from daemon.ledger.measurements import MeasuredPictures
from daemon.ledger.moves import apply, asked_again, leave, printable, remember, remember_results
from daemon.ledger.moving import Relocated, Relocation, SameFile
from daemon.ledger.questions import Questions
from daemon.ledger.values import (
    ASKED_AGAIN,
    NEXT,
    PROMISED,
    Arrival,
    IllegalMoveError,
    Intent,
    KnownRule,
    Measured,
    Move,
    OutputRecord,
)
from daemon.model import Fingerprint, Job, State

__all__ = [
    "ASKED_AGAIN",
    "NEXT",
    "Arrival",
    "IllegalMoveError",
    "Intent",
    "KnownRule",
    "Ledger",
    "Measured",
    "MeasuredPictures",
    "Move",
    "OutputRecord",
    "Relocated",
    "SameFile",
]

Clock: TypeAlias = Callable[[], float]


class Ledger(Questions):
    """The jobs. Threads share one ledger, and any number of processes may have one on the same file.

    Every method raises BlockedError when the disk does not let it, unless `patience`, called with that error, waits
    and returns True: then the transaction is tried again. DarkroomError means the file is no ledger.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = time.time,
        timeout: float = 10.0,
        patience: Callable[[BlockedError], bool] = lambda error: False,
    ) -> None:
        super().__init__(Database(path, timeout, patience))
        self._clock = clock
        self._write = self._database.write

    def trouble(self) -> str | None:
        """What the disk does not let us do now; None unless a thread waits for it."""
        return self._database.trouble()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    # -- arriving ------------------------------------------------------------------------------------------------

    def add(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Enter new jobs as waiting; an older version of the same file still waiting is skipped, as replaced.

        A group that waits for files has its job already, which is about the files that are there by now. The ids of
        all, in the same order.
        """
        ids = list[int]()

        def enter(db: sqlite3.Connection) -> None:
            ids.clear()
            for new in arrivals:
                if (job := members.waits_for_files(db, new)) is not None:
                    ids.append(self._renew(db, job, new))
                else:
                    again = new.again or asked_again(db, new)
                    self._supersede(db, new)
                    ids.append(self._enter(db, new, again))

        self._write(enter)
        return ids

    def _enter(self, db: sqlite3.Connection, new: Arrival, again: bool) -> int:
        now, reason, lacks = self._clock(), printable(new.reason), new.lacks and printable(new.lacks)
        key = (new.rule, text(new.root), text(new.relative), *numbers(new.fingerprint))
        cursor = db.execute(
            "INSERT INTO jobs"
            " (rule, root, relative, size, mtime_ns, inode, state, reason, created, updated, lacks, asked_again)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (*key, State.WAITING.value, reason, now, now, lacks, again),
        )
        assert cursor.lastrowid is not None
        members.remember(db, cursor.lastrowid, new.members)
        remember(db, cursor.lastrowid, now, State.WAITING, reason)
        return cursor.lastrowid

    def _renew(self, db: sqlite3.Connection, job: int, new: Arrival) -> int:
        now, reason, lacks = self._clock(), printable(new.reason), new.lacks and printable(new.lacks)
        db.execute(
            "UPDATE jobs SET size = ?, mtime_ns = ?, inode = ?, reason = ?, updated = ?, lacks = ? WHERE id = ?",
            (*numbers(new.fingerprint), reason, now, lacks, job),
        )
        members.forget(db, job)
        members.remember(db, job, new.members)
        remember(db, job, now, State.WAITING, reason)
        return job

    def _supersede(self, db: sqlite3.Connection, new: Arrival) -> None:
        rows = db.execute(
            "SELECT id FROM jobs WHERE +rule = ? AND root = ? AND relative = ? AND state = 'waiting'",
            (new.rule, text(new.root), text(new.relative)),
        ).fetchall()
        reason = "replaced by newer content before it was taken; a newer job has it"
        apply(db, [Move(job, State.SKIPPED, reason) for (job,) in rows], self._clock())

    def adopt(self, rules: Mapping[str, KnownRule], homeless: Homeless) -> dict[str, str]:
        """Take over the rules in force, by name; the new names, by the old, of those only renamed.

        Waiting jobs that have no home among them are skipped, and their files are new if a rule takes them again.
        """
        renamed = dict[str, str]()

        def take_over(db: sqlite3.Connection) -> None:
            renamed.clear()
            renamed.update(adopt(db, rules, homeless, partial(leave, db, self._clock())))

        self._write(take_over)
        return renamed

    # -- working -------------------------------------------------------------------------------------------------

    def claim(self, rules: Sequence[str], limit: int, reason: str) -> list[Job]:
        """Take up to `limit` waiting jobs of these rules that are due, oldest first, and mark them running.

        A group that is not whole is not among them.
        """
        marks = ",".join("?" * len(rules))
        sql = (
            f"SELECT {COLUMNS} FROM jobs WHERE state = 'waiting' AND lacks IS NULL AND not_before <= ?"
            f" AND +rule IN ({marks}) ORDER BY id LIMIT ?"  # + keeps SQLite to the queue: a rule has many jobs more
        )
        jobs = list[Job]()

        def take(db: sqlite3.Connection) -> None:
            jobs[:] = [job_of(row) for row in db.execute(sql, (self._clock(), *rules, limit))]
            apply(db, [Move(job.id, State.RUNNING, reason) for job in jobs], self._clock())

        if self._read(sql, (self._clock(), *rules, 1)):  # an idle daemon asks often, and must not write for it
            self._write(take)
        return jobs

    def advance(self, moves: Sequence[Move], *, durable: bool = False) -> None:
        """Change the state of jobs, all or none: the one door through which a state changes (law 3)."""
        self._write(lambda db: apply(db, moves, self._clock()), durable=durable)

    def ask_to_cancel(self, jobs: Sequence[int]) -> None:
        """Note the wish to cancel these running jobs. The daemon that runs them moves them; another end forgets it."""
        rows = [(job,) for job in jobs]
        sql = "UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'"
        self._write(lambda db: db.executemany(sql, rows))

    def intend(self, intents: Sequence[Intent], moves: Mapping[int, Move] | None = None) -> None:
        """Record durably that these files are about to be renamed into place. After this, publishing is certain.

        What the `moves` (by job) will say of the result is recorded here too, since a restart that finishes the
        renaming runs nothing again.
        """
        rows = [
            (i.job, i.part, text(i.temporary), text(i.target), i.exclusive, *numbers(i.fingerprint)) for i in intents
        ]

        def record(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO publications VALUES (?,?,?,?,?,?,?,?)", rows)
            for move in (moves or {}).values():
                values = (move.device, move.content, move.recipe, PROMISED if move.source_due else 0, move.job)
                db.execute("UPDATE jobs SET device = ?, content = ?, recipe = ?, source_due = ? WHERE id = ?", values)
                remember_results(db, move)

        self._write(record, durable=True)

    def withdraw(self, jobs: Iterable[int], *, placed: Sequence[Intent] = ()) -> None:
        """Forget the intents of jobs whose renames did not all come about; what is `placed` all the same is ours."""
        rows = [(job,) for job in jobs]

        def forget(db: sqlite3.Connection) -> None:
            _record_outputs(db, [(intent.target, intent.job, intent.fingerprint) for intent in placed])
            db.executemany("DELETE FROM publications WHERE job = ?", rows)

        self._write(forget)

    def complete(self, published: Sequence[tuple[Intent, Move | None]]) -> None:
        """Record renames that are durable: the files are ours, the jobs are done, the intents are spent.

        The move stands beside the job's output; the other parts have none.
        """

        def record(db: sqlite3.Connection) -> None:
            _record_outputs(db, [(i.target, i.job, i.fingerprint) for i, _ in published])
            apply(db, [move for _, move in published if move is not None], self._clock())
            db.executemany("DELETE FROM publications WHERE job = ?", [(i.job,) for i, _ in published])

        self._write(record)

    def record_receipt(self, path: str, job: int, fingerprint: Fingerprint) -> None:
        """Remember the note of a failure, so that it is never taken as input, and goes away when the job succeeds."""
        self._write(lambda db: _record_outputs(db, [(path, job, fingerprint)], receipt=True))

    def record_file(self, path: str, job: int, fingerprint: Fingerprint) -> None:
        """Remember any other file that darkroom put somewhere, so that it is never taken as input."""
        self._write(lambda db: _record_outputs(db, [(path, job, fingerprint)]))

    def forget_output(self, path: str) -> None:
        """Forget a file darkroom wrote and has removed."""
        self._write(lambda db: db.execute("DELETE FROM outputs WHERE path = ?", (text(path),)))

    def forget_folders(self, folders: Iterable[str]) -> None:
        """Nothing is left in these folders of a time when rules wrote into them."""
        rows = [(text(folder),) for folder in folders]
        self._write(lambda db: db.executemany("DELETE FROM folders WHERE path = ?", rows))

    def source_settled(self, jobs: Sequence[int], *, gone: bool) -> None:
        """The sources of these done jobs were dealt with; `gone`: they are no longer in the watched folder."""
        rows = [(gone, job) for job in jobs]
        if rows:
            self._write(lambda db: db.executemany("UPDATE jobs SET source_due = 0, gone = ? WHERE id = ?", rows))

    def relocate(self, old: str, new: str, same: SameFile) -> Relocated:
        """The files below the folder `old` lie below `new` by now; see `Relocation`."""
        told = Relocated()

        def move(db: sqlite3.Connection) -> None:
            nonlocal told
            told = Relocation(db, old, new, same).run()

        self._write(move, durable=True)
        return told


def _record_outputs(
    db: sqlite3.Connection, rows: Sequence[tuple[str, int, Fingerprint]], *, receipt: bool = False
) -> None:
    values = [(text(path), job, *numbers(fingerprint), receipt) for path, job, fingerprint in rows]
    db.executemany("INSERT OR REPLACE INTO outputs VALUES (?,?,?,?,?,?)", values)
