"""The rules that the ledger's jobs belong to: what becomes of the jobs when config.yaml is edited."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Set
from typing import TypeAlias

from daemon.ledger.jobs import COLUMNS, job_of
from daemon.ledger.values import Move
from daemon.model import Job, State

Homeless: TypeAlias = Callable[[Job, bool], str | None]
"""Why a waiting job is not to be worked on any more, or None; the second argument tells whether it is a group."""


def adopt(
    db: sqlite3.Connection, rules: Mapping[str, str], acting: Set[str], homeless: Homeless
) -> tuple[dict[str, str], list[Move]]:
    """Take over the rules in force: (old names by new ones that go on, moves of the waiting jobs that have no home).

    `rules` has each rule's identity: all that it is but its name. One that is gone, and one that came with the same
    identity, are the same rule under another name, and its jobs go with it; where there are several of either, nobody
    can tell which, and they are different rules. Those `acting` delete or move their sources: what is due to others,
    or was due to another rule of that name, stays where it is for good.
    """
    known = dict[str, str](db.execute("SELECT name, identity FROM rules").fetchall())
    renamed = _renamed(known, rules)
    for old, new in renamed.items():
        _rename(db, old, new)
    same = {new for old, new in renamed.items()} | {name for name in rules if known.get(name) == rules[name]}
    _release_sources(db, acting & (known.keys() | set(renamed.values())))
    db.execute("DELETE FROM rules")
    db.executemany("INSERT INTO rules VALUES (?,?)", rules.items())
    return renamed, _without_home(db, same, homeless)


def _renamed(known: Mapping[str, str], rules: Mapping[str, str]) -> dict[str, str]:
    gone = [name for name in known if name not in rules]
    come = [name for name in rules if name not in known]
    pairs = [(old, new) for old in gone for new in come if known[old] == rules[new]]
    return {
        old: new
        for old, new in pairs
        if [each for each, _ in pairs].count(old) == 1 and [each for _, each in pairs].count(new) == 1
    }


def _rename(db: sqlite3.Connection, old: str, new: str) -> None:
    db.execute("UPDATE jobs SET rule = ? WHERE rule = ?", (new, old))
    db.execute(
        "INSERT INTO counts SELECT ?, state, jobs FROM counts WHERE rule = ?"
        " ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs",
        (new, old),
    )
    db.execute("DELETE FROM counts WHERE rule = ?", (old,))


def _release_sources(db: sqlite3.Connection, acting: Set[str]) -> None:
    marks = ",".join("?" * len(acting))
    db.execute(f"UPDATE jobs SET source_due = 0 WHERE source_due = 1 AND rule NOT IN ({marks})", tuple(acting))


def _without_home(db: sqlite3.Connection, same: set[str], homeless: Homeless) -> list[Move]:
    """Rules that are what they were are not looked through: a backlog may have a hundred thousand jobs."""
    moves = list[Move]()
    waiting = db.execute("SELECT DISTINCT rule FROM jobs WHERE state = 'waiting'").fetchall()
    grouped = "EXISTS (SELECT 1 FROM members WHERE job = id)"
    for (rule,) in waiting:
        if rule in same:
            continue
        sql = f"SELECT {COLUMNS}, {grouped} FROM jobs WHERE state = 'waiting' AND rule = ?"
        for row in db.execute(sql, (rule,)).fetchall():
            job = job_of(row[:-1])
            if (reason := homeless(job, bool(row[-1]))) is not None:
                moves.append(Move(job.id, State.SKIPPED, reason, gone=True))
    return moves
