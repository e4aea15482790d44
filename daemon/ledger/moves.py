"""How the state of a job changes: along named transitions, and with every change told in its history (law 3)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from daemon.ledger import measurements
from daemon.ledger.database import text
from daemon.ledger.values import BEFORE, Arrival, IllegalMoveError, Move
from daemon.model import State


def apply(db: sqlite3.Connection, moves: Sequence[Move], now: float) -> None:
    """Change the state of jobs, all or none. Raises IllegalMoveError."""
    for move in moves:
        before, reason = move.only_from or BEFORE[move.to], printable(move.reason)
        # An end has answered the wish; but not one for want of the file, which is a new job if it is seen again.
        stays = move.to in (State.WAITING, State.RUNNING) or move.gone
        cursor = db.execute(
            "UPDATE jobs SET state = ?, reason = ?, updated = ?, not_before = ?, source_due = ?, gone = ?,"
            " attempts = coalesce(?, attempts), output = coalesce(?, output), device = coalesce(?, device),"
            " content = coalesce(?, content), recipe = coalesce(?, recipe), repeats = ?, cancel = 0,"
            " asked_again = (asked_again AND ?) OR ?"
            f" WHERE id = ? AND state IN ({','.join('?' * len(before))})",
            (
                *(move.to.value, reason, now, move.not_before, move.source_due, move.gone),
                move.attempts,
                *(None if move.output is None else text(move.output), move.device, move.content, move.recipe),
                *(move.repeats, stays, move.again),
                *(move.job, *before),
            ),
        )
        if cursor.rowcount != 1:
            raise IllegalMoveError(_refusal(db, move))
        remember_results(db, move)
        remember(db, move.job, now, move.to, reason)


def asked_again(db: sqlite3.Connection, new: Arrival) -> bool:
    """Whether the job before this one, of the same file, was asked for and has not come to its end."""
    sql = "SELECT asked_again FROM jobs WHERE +rule = ? AND root = ? AND relative = ? ORDER BY id DESC LIMIT 1"
    row = db.execute(sql, (new.rule, text(new.root), text(new.relative))).fetchone()
    return row is not None and bool(row[0])


def leave(db: sqlite3.Connection, now: float, rule: str, jobs: Sequence[int], reason: str) -> None:
    """One transition, waiting to skipped, of all these jobs of a rule at once: one by one, 100,000 take six seconds.

    Counted at once too: of the rest, half the time goes into the trigger that counts each.
    """
    values = {"now": now, "reason": printable(reason), "jobs": json.dumps(jobs)}
    (counting,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'counts_moved'").fetchone()
    db.execute("DROP TRIGGER counts_moved")
    cursor = db.execute(
        "UPDATE jobs SET state = 'skipped', reason = :reason, updated = :now, not_before = 0, gone = 1, cancel = 0"
        " WHERE state = 'waiting' AND id IN (SELECT value FROM json_each(:jobs))",
        values,
    )
    db.execute(counting)
    for state, more in ((State.WAITING, -cursor.rowcount), (State.SKIPPED, cursor.rowcount)):
        db.execute(
            "INSERT INTO counts VALUES (?,?,?) ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs",
            (rule, state.value, more),
        )
    db.execute("INSERT INTO history SELECT value, :now, 'skipped', :reason FROM json_each(:jobs)", values)


def _refusal(db: sqlite3.Connection, move: Move) -> str:
    row = db.execute("SELECT state FROM jobs WHERE id = ?", (move.job,)).fetchone()
    return f"job {move.job} cannot become {move.to.value}: " + (f"it is {row[0]}" if row else "there is no such job")


def printable(reason: str) -> str:
    """A reason may name a file whose name is not UTF-8; SQLite takes only text that is."""
    return reason if reason.isascii() else reason.encode(errors="backslashreplace").decode()


def remember(db: sqlite3.Connection, job: int, now: float, state: State, reason: str) -> None:
    """Add to what `darkroom why` tells of a job."""
    db.execute("INSERT INTO history VALUES (?,?,?,?)", (job, now, state.value, reason))


def remember_results(db: sqlite3.Connection, move: Move) -> None:
    """Enter what a job measured, and what is worth knowing of it."""
    if move.measured is not None:
        measurements.remember(db, move.job, move.measured)
    if move.record is not None:
        db.execute("INSERT OR REPLACE INTO records VALUES (?,?)", (move.job, move.record))
