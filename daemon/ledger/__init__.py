"""Every job and every change of its state, in SQLite. The only room that knows sqlite3.

An *intent* to publish is committed durably, because the rename that follows must never be on disk while the intent is
not. Every other transition may be lost with the power and is then simply made again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from daemon.errors import BlockedError
from daemon.ledger import measurements
from daemon.ledger.database import Database, chunks, numbers, path_of, text
from daemon.ledger.measurements import MeasuredPictures
from daemon.ledger.values import (
    ASKED_AGAIN,
    BEFORE,
    NEXT,
    Arrival,
    IllegalMoveError,
    Intent,
    Measured,
    Move,
    OutputRecord,
)
from daemon.model import EarlierResult, Fingerprint, Job, State

__all__ = [
    "ASKED_AGAIN",
    "NEXT",
    "Arrival",
    "IllegalMoveError",
    "Intent",
    "Ledger",
    "Measured",
    "MeasuredPictures",
    "Move",
    "OutputRecord",
]

Clock: TypeAlias = Callable[[], float]

_COLUMNS = (
    "id, rule, root, relative, size, mtime_ns, inode, state, reason, attempts, not_before, output, device,"
    " created, updated"
)


class Ledger:
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
        self._clock = clock
        self._database = Database(path, timeout, patience)
        self._read = self._database.read
        self._write = self._database.write

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    # -- arriving ------------------------------------------------------------------------------------------------

    def latest(self, rule: str, root: str, relatives: Sequence[str]) -> dict[str, Fingerprint]:
        """The newest known version of each file under a rule; files without a job, or gone since, are absent."""
        found: dict[str, Fingerprint] = {}
        sql = (
            "SELECT relative, size, mtime_ns, inode, gone, max(id) FROM jobs"
            " WHERE rule = ? AND root = ? AND relative IN ({}) GROUP BY relative"
        )
        for chunk in chunks(relatives):
            marks = ",".join("?" * len(chunk))
            rows = self._read(sql.format(marks), (rule, text(root), *map(text, chunk)))
            found |= {path_of(row[0]): Fingerprint(*row[1:4]) for row in rows if not row[4]}
        return found

    def written(self, paths: Sequence[str]) -> dict[str, OutputRecord]:
        """Which of these absolute paths darkroom wrote, and from what."""
        found: dict[str, OutputRecord] = {}
        sql = (
            "SELECT o.path, o.job, j.rule, j.root, j.relative, o.size, o.mtime_ns, o.inode"
            " FROM outputs o JOIN jobs j ON j.id = o.job WHERE o.path IN ({})"
        )
        for chunk in chunks(paths):
            for row in self._read(sql.format(",".join("?" * len(chunk))), tuple(map(text, chunk))):
                source = f"{path_of(row[3])}/{path_of(row[4])}"
                found[path_of(row[0])] = OutputRecord(row[1], row[2], source, Fingerprint(*row[5:8]))
        return found

    def own(self, fingerprints: Sequence[Fingerprint]) -> set[Fingerprint]:
        """Which of these files darkroom wrote, or is about to give their name; wherever they lie by now."""
        found = set[Fingerprint]()
        for chunk in chunks([fingerprint.inode for fingerprint in fingerprints]):
            marks = ",".join("?" * len(chunk))
            for table in ("outputs", "publications"):
                sql = f"SELECT size, mtime_ns, inode FROM {table} WHERE inode IN ({marks})"
                found |= {Fingerprint(*row) for row in self._read(sql, tuple(chunk))}
        return found & set(fingerprints)

    def add(self, arrivals: Sequence[Arrival]) -> None:
        """Enter new jobs as waiting; an older version of the same file still waiting is skipped, as replaced."""
        now = self._clock()
        insert = (
            "INSERT INTO jobs (rule, root, relative, size, mtime_ns, inode, state, reason, created, updated)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)"
        )

        def enter(db: sqlite3.Connection) -> None:
            for new in arrivals:
                self._supersede(db, new)
                key = (new.rule, text(new.root), text(new.relative), *numbers(new.fingerprint))
                cursor = db.execute(insert, (*key, State.WAITING.value, new.reason, now, now))
                _remember(db, cursor.lastrowid, now, State.WAITING, new.reason)

        self._write(enter)

    def _supersede(self, db: sqlite3.Connection, new: Arrival) -> None:
        rows = db.execute(
            "SELECT id FROM jobs WHERE rule = ? AND root = ? AND relative = ? AND state = 'waiting'",
            (new.rule, text(new.root), text(new.relative)),
        ).fetchall()
        reason = "replaced by newer content before it was taken; a newer job has it"
        self._apply(db, [Move(job, State.SKIPPED, reason) for (job,) in rows])

    # -- working -------------------------------------------------------------------------------------------------

    def claim(self, rules: Sequence[str], limit: int, reason: str) -> list[Job]:
        """Take up to `limit` waiting jobs of these rules that are due, oldest first, and mark them running."""
        marks = ",".join("?" * len(rules))
        sql = (
            f"SELECT {_COLUMNS} FROM jobs WHERE state = 'waiting' AND not_before <= ? AND rule IN ({marks})"
            " ORDER BY id LIMIT ?"
        )
        jobs = list[Job]()

        def take(db: sqlite3.Connection) -> None:
            jobs[:] = [_job(row) for row in db.execute(sql, (self._clock(), *rules, limit))]
            self._apply(db, [Move(job.id, State.RUNNING, reason) for job in jobs])

        if self._read(sql, (self._clock(), *rules, 1)):  # an idle daemon asks often, and must not write for it
            self._write(take)
        return jobs

    def advance(self, moves: Sequence[Move], *, durable: bool = False) -> None:
        """Change the state of jobs, all or none: the one door through which a state changes (law 3)."""
        self._write(lambda db: self._apply(db, moves), durable=durable)

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
            for job, move in (moves or {}).items():
                values = (move.device, move.content, move.recipe, job)
                db.execute("UPDATE jobs SET device = ?, content = ?, recipe = ? WHERE id = ?", values)
                if move.measured is not None:
                    measurements.remember(db, job, move.measured)

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
            self._apply(db, [move for _, move in published if move is not None])
            db.executemany("DELETE FROM publications WHERE job = ?", [(i.job,) for i, _ in published])

        self._write(record)

    def record_receipt(self, path: str, job: int, fingerprint: Fingerprint) -> None:
        """Remember a file darkroom wrote beside the outputs (an error receipt), so it is never taken as input."""
        self._write(lambda db: _record_outputs(db, [(path, job, fingerprint)]))

    def forget_output(self, path: str) -> None:
        """Forget a file darkroom wrote and has removed."""
        self._write(lambda db: db.execute("DELETE FROM outputs WHERE path = ?", (text(path),)))

    def source_settled(self, jobs: Sequence[int], *, gone: bool) -> None:
        """The sources of these done jobs were dealt with; `gone`: they are no longer in the watched folder."""
        rows = [(gone, job) for job in jobs]
        if rows:
            self._write(lambda db: db.executemany("UPDATE jobs SET source_due = 0, gone = ? WHERE id = ?", rows))

    # -- asking --------------------------------------------------------------------------------------------------

    def intents(self) -> list[Intent]:
        """Renames that were begun and not recorded: what a restart must finish first."""
        columns = "job, temporary, target, exclusive, size, mtime_ns, inode, part"
        rows = self._read(f"SELECT {columns} FROM publications ORDER BY job, part", ())
        return [Intent(r[0], path_of(r[1]), path_of(r[2]), bool(r[3]), Fingerprint(*r[4:7]), r[7]) for r in rows]

    def jobs(
        self, state: State | None = None, rule: str | None = None, limit: int = -1, ids: Sequence[int] | None = None
    ) -> list[Job]:
        """Jobs, newest first."""
        where, values = ["1"], list[Any]()
        if state is not None:
            where, values = [*where, "state = ?"], [*values, state.value]
        if rule is not None:
            where, values = [*where, "rule = ?"], [*values, rule]
        if ids is not None:
            where, values = [*where, f"id IN ({','.join('?' * len(ids))})"], [*values, *ids]
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
        return [_job(row) for row in self._read(sql, (*values, limit))]

    def of_source(self, root: str, relative: str) -> list[Job]:
        """Every job a file has had under any rule, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE root = ? AND relative = ? ORDER BY id"
        return [_job(row) for row in self._read(sql, (text(root), text(relative)))]

    def source_due(self) -> list[Job]:
        """Done jobs whose source is still to be deleted or moved."""
        return [_job(row) for row in self._read(f"SELECT {_COLUMNS} FROM jobs WHERE source_due = 1", ())]

    def newest(self, jobs: Sequence[Job]) -> dict[int, int]:
        """For each job, the id of the newest job of the same rule and file (itself, unless it was replaced)."""
        sql = "SELECT max(id) FROM jobs WHERE rule = ? AND root = ? AND relative = ?"
        return {job.id: self._read(sql, (job.rule, text(job.root), text(job.relative)))[0][0] for job in jobs}

    def earlier_results(self, jobs: Sequence[Job]) -> dict[int, EarlierResult]:
        """For each job whose file had one done under the same rule: what the last of those gave."""
        sql = (
            "SELECT j.id, j.content, j.recipe, o.path, o.size, o.mtime_ns, o.inode FROM jobs j"
            " JOIN outputs o ON o.path = j.output AND o.job = j.id"
            " WHERE j.rule = ? AND j.root = ? AND j.relative = ? AND j.state = 'done' ORDER BY j.id DESC LIMIT 1"
        )
        found = dict[int, EarlierResult]()
        for job in jobs:
            for row in self._read(sql, (job.rule, text(job.root), text(job.relative))):
                found[job.id] = EarlierResult(row[0], row[1], row[2], path_of(row[3]), Fingerprint(*row[4:7]))
        return found

    def once_failed(self, jobs: Sequence[int]) -> set[int]:
        """Which of these jobs, or of those that other versions of their files had under the same rule, ever failed."""
        sql = (
            "SELECT DISTINCT j.id FROM jobs j JOIN jobs k ON k.rule = j.rule AND k.root = j.root"
            " AND k.relative = j.relative JOIN history h ON h.job = k.id AND h.state = 'failed' WHERE j.id IN ({})"
        )
        found = set[int]()
        for chunk in chunks(jobs):
            found |= {row[0] for row in self._read(sql.format(",".join("?" * len(chunk))), tuple(chunk))}
        return found

    def history(self, job: int) -> list[tuple[float, State, str]]:
        """Every change of a job, oldest first: (time, state, reason)."""
        rows = self._read("SELECT time, state, reason FROM history WHERE job = ? ORDER BY rowid", (job,))
        return [(row[0], State(row[1]), row[2]) for row in rows]

    def counts(self) -> dict[str, dict[State, int]]:
        """Jobs by rule and state; states without jobs are absent."""
        found: dict[str, dict[State, int]] = {}
        for rule, state, number in self._read("SELECT rule, state, jobs FROM counts WHERE jobs > 0", ()):
            found.setdefault(rule, {})[State(state)] = number
        return found

    def measured(self, jobs: Sequence[int]) -> dict[int, Measured]:
        """What each of these jobs measured; those that measured nothing are absent."""
        return measurements.of_jobs(self._database, jobs)

    def measured_by(self, rule: str, steps: str, series: int) -> MeasuredPictures:
        """What a rule measured with these steps (canonical), which give so many `series`."""
        return measurements.of_rule(self._database, rule, steps, series)

    def unmeasured(self, rule: str, state: State, limit: int) -> list[tuple[str, str]]:
        """Pictures of a rule whose newest version ended in this state, newest first: (relative path, reason)."""
        return measurements.unmeasured(self._database, rule, state, limit)

    def devices(self, rule: str) -> dict[str, int]:
        """How many done jobs of a rule ran on each device."""
        sql = "SELECT device, count(*) FROM jobs WHERE rule = ? AND state = 'done' AND device NOT NULL GROUP BY device"
        return dict(self._read(sql, (rule,)))

    # -- plumbing ------------------------------------------------------------------------------------------------

    def _apply(self, db: sqlite3.Connection, moves: Sequence[Move]) -> None:
        now = self._clock()
        for move in moves:
            before, reason = move.only_from or BEFORE[move.to], _printable(move.reason)
            cursor = db.execute(
                "UPDATE jobs SET state = ?, reason = ?, updated = ?, not_before = ?, source_due = ?, gone = ?,"
                " attempts = coalesce(?, attempts), output = coalesce(?, output), device = coalesce(?, device),"
                " content = coalesce(?, content), recipe = coalesce(?, recipe), repeats = ?"
                f" WHERE id = ? AND state IN ({','.join('?' * len(before))})",
                (
                    *(move.to.value, reason, now, move.not_before, move.source_due, move.gone),
                    move.attempts,
                    *(None if move.output is None else text(move.output), move.device, move.content, move.recipe),
                    move.repeats,
                    *(move.job, *before),
                ),
            )
            if cursor.rowcount != 1:
                raise IllegalMoveError(_refusal(db, move))
            if move.measured is not None:
                measurements.remember(db, move.job, move.measured)
            _remember(db, move.job, now, move.to, reason)


def _refusal(db: sqlite3.Connection, move: Move) -> str:
    row = db.execute("SELECT state FROM jobs WHERE id = ?", (move.job,)).fetchone()
    return f"job {move.job} cannot become {move.to.value}: " + (f"it is {row[0]}" if row else "there is no such job")


def _printable(reason: str) -> str:
    """A reason may name a file whose name is not UTF-8; SQLite takes only text that is."""
    return reason if reason.isascii() else reason.encode(errors="backslashreplace").decode()


def _remember(db: sqlite3.Connection, job: int | None, now: float, state: State, reason: str) -> None:
    db.execute("INSERT INTO history VALUES (?,?,?,?)", (job, now, state.value, reason))


def _job(row: Sequence[Any]) -> Job:
    identity = (row[0], row[1], path_of(row[2]), path_of(row[3]), Fingerprint(*row[4:7]))
    output = None if row[11] is None else path_of(row[11])
    return Job(*identity, State(row[7]), row[8], row[9], row[10], output, row[12], row[13], row[14])


def _record_outputs(db: sqlite3.Connection, rows: Sequence[tuple[str, int, Fingerprint]]) -> None:
    values = [(text(path), job, *numbers(fingerprint)) for path, job, fingerprint in rows]
    db.executemany("INSERT OR REPLACE INTO outputs VALUES (?,?,?,?,?)", values)
