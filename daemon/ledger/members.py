"""The files of groups, in the ledger: which belong to a job, and which jobs wait for files that are not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from daemon.ledger.database import Database, chunks, numbers, path_of, text
from daemon.ledger.jobs import COLUMNS, job_of
from daemon.ledger.values import Arrival
from daemon.model import Fingerprint, Job, Member

# Both are named, or SQLite looks through every job that a rule ever had.
WHOLE = "jobs INDEXED BY jobs_queue WHERE state = 'waiting' AND lacks IS NULL"
INCOMPLETE = "jobs INDEXED BY jobs_incomplete WHERE state = 'waiting' AND lacks IS NOT NULL"


def remember(db: sqlite3.Connection, job: int, members: Sequence[Member]) -> None:
    """Enter the files of a new job."""
    rows = [(job, m.role, text(m.path), *numbers(m.fingerprint), m.fixed) for m in members]
    db.executemany("INSERT INTO members VALUES (?,?,?,?,?,?,?)", rows)


def forget(db: sqlite3.Connection, job: int) -> None:
    """Its files are others by now."""
    db.execute("DELETE FROM members WHERE job = ?", (job,))


def waits_for_files(db: sqlite3.Connection, new: Arrival) -> int | None:
    """The job of the same group that waits for files, if there is one."""
    sql = (
        "SELECT id FROM jobs WHERE +rule = ? AND root = ? AND relative = ? AND state = 'waiting' AND lacks IS NOT NULL"
    )
    row = db.execute(sql, (new.rule, text(new.root), text(new.relative))).fetchone()
    return None if row is None else int(row[0])


def of_jobs(database: Database, jobs: Sequence[int]) -> dict[int, tuple[Member, ...]]:
    """The files of each of these jobs, in the order they were entered; jobs of one file are absent."""
    found = dict[int, tuple[Member, ...]]()
    columns = "job, role, path, size, mtime_ns, inode, fixed"
    for chunk in chunks(jobs):
        marks = ",".join("?" * len(chunk))
        sql = f"SELECT {columns} FROM members WHERE job IN ({marks}) ORDER BY job, rowid"
        for row in database.read(sql, tuple(chunk)):
            member = Member(row[1], path_of(row[2]), Fingerprint(*row[3:6]), bool(row[6]))
            found[row[0]] = (*found.get(row[0], ()), member)
    return found


def jobs_with(database: Database, path: str) -> list[Job]:
    """Every job that a file has belonged to, oldest first."""
    sql = f"SELECT {COLUMNS} FROM jobs WHERE id IN (SELECT job FROM members WHERE path = ?) ORDER BY id"
    return [job_of(row) for row in database.read(sql, (text(path),))]


def newest(database: Database, rule: str, root: str, names: Sequence[str]) -> dict[str, Job]:
    """The newest job of each of these groups; those without one, or gone since, are absent."""
    found = dict[str, Job]()
    for chunk in chunks(names):
        marks = ",".join("?" * len(chunk))
        newest = f"SELECT max(id) FROM jobs WHERE +rule = ? AND root = ? AND relative IN ({marks}) GROUP BY relative"
        sql = f"SELECT {COLUMNS} FROM jobs WHERE id IN ({newest}) AND NOT gone"
        rows = database.read(sql, (rule, text(root), *map(text, chunk)))
        found |= {job.relative: job for job in map(job_of, rows)}
    return found


def waiting(database: Database, rule: str, root: str) -> list[str]:
    """The names of a rule's jobs that wait, below a watched folder."""
    parts = [f"SELECT relative FROM {which} AND rule = ? AND root = ?" for which in (WHOLE, INCOMPLETE)]
    return [path_of(row[0]) for part in parts for row in database.read(part, (rule, text(root)))]


def incomplete(database: Database) -> dict[str, int]:
    """By rule, how many jobs wait for files that are not there."""
    return dict(database.read(f"SELECT rule, count(*) FROM {INCOMPLETE} GROUP BY rule", ()))


def incomplete_jobs(database: Database, rule: str, limit: int) -> list[Job]:
    """Jobs of a rule that wait for files that are not there, oldest first."""
    sql = f"SELECT {COLUMNS} FROM {INCOMPLETE} AND rule = ? ORDER BY id LIMIT ?"
    return [job_of(row) for row in database.read(sql, (rule, limit))]
