"""The rules that the ledger's jobs belong to: what becomes of the jobs when config.yaml is edited.

A backlog may have a hundred thousand jobs, and an edit is to be in force at once: whole rules are moved by single
statements, and jobs are looked at one by one only where what their rule takes was changed.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeAlias

from daemon.ledger.database import path_of, text
from daemon.ledger.members import INCOMPLETE, WHOLE
from daemon.ledger.values import PROMISED, KnownRule
from daemon.model import Fingerprint, Member


class Waiting(NamedTuple):
    """A job that waits, as far as it takes to tell whether its rule still takes it."""

    id: int
    rule: str
    root: str
    relative: str
    lacks: str | None


Homeless: TypeAlias = Callable[[Waiting, Sequence[Member]], str | None]
"""Why a waiting job is not to be worked on any more, or None; its files, if it is a group."""
Leave: TypeAlias = Callable[[str, Sequence[int], str], None]
"""Skip these jobs of a rule, which wait, for a reason; if their files are seen again, they are new."""


def no_rule(name: str) -> str:
    """Why a job of a rule that is gone is not worked on."""
    return f"config.yaml has no rule {name} any more"


def adopt(db: sqlite3.Connection, rules: Mapping[str, KnownRule], homeless: Homeless, leave: Leave) -> dict[str, str]:
    """Take over the rules in force; old names by new ones, of those that go on under another.

    One that is gone and one that came with the same identity are the same rule, and its jobs go with it, also where
    names are exchanged, or handed on from rule to rule. Where there are several of either, nobody can tell which, and
    they are different rules. What is due to the source of a job stays where it is for good, unless its rule goes on
    and still acts on sources.
    """
    known = {row[0]: KnownRule(*row[1:]) for row in db.execute("SELECT name, identity, takes FROM rules")}
    renamed = _renamed(known, rules)
    go_on = {name: name for name in known if name in rules and name not in renamed.values()} | renamed
    _release_sources(db, {old for old, new in go_on.items() if rules[new].acts})
    for name in _with_waiting(db) - go_on.keys():
        if name not in rules or name in renamed.values():
            leave(name, [row[0] for row in _rows(db, "id", name)], no_rule(name))
    _rename(db, _set_aside(renamed) | renamed)
    as_before = {new for old, new in go_on.items() if known[old].takes == rules[new].takes}
    for name in _with_waiting(db) & (rules.keys() - as_before):
        _look_through(db, name, homeless, leave)
    db.execute("DELETE FROM rules")
    db.executemany("INSERT INTO rules VALUES (?,?,?)", [(name, r.identity, r.takes) for name, r in rules.items()])
    folders = {text(folder) for rule in rules.values() for folder in rule.folders}
    db.executemany("INSERT OR IGNORE INTO folders VALUES (?)", [(folder,) for folder in folders])
    return renamed


def _renamed(known: Mapping[str, KnownRule], rules: Mapping[str, KnownRule]) -> dict[str, str]:
    """Each identity that went from just one name to just one other."""

    def left(some: Mapping[str, KnownRule], others: Mapping[str, KnownRule]) -> dict[str, list[str]]:
        found = defaultdict[str, list[str]](list)
        for name, rule in some.items():
            if name not in others or others[name].identity != rule.identity:
                found[rule.identity].append(name)
        return found

    gone, come = left(known, rules), left(rules, known)
    return {old[0]: come[each][0] for each, old in gone.items() if len(old) == 1 and len(come.get(each, ())) == 1}


def _set_aside(renamed: Mapping[str, str]) -> dict[str, str]:
    """Names that are handed on, of rules that do not go on: to one that no rule can have. Else a job of the one would
    pass for an earlier, or a newer, job of the other about the same file."""
    return {name: f"{name} (gone)" for name in renamed.values() if name not in renamed}


def _rename(db: sqlite3.Connection, renamed: Mapping[str, str]) -> None:
    """All at once: two rules may have exchanged their names."""
    if not renamed:
        return
    cases, marks = " WHEN ? THEN ?" * len(renamed), ",".join("?" * len(renamed))
    given = [*(name for pair in renamed.items() for name in pair), *renamed]
    db.execute(f"UPDATE jobs SET rule = CASE rule{cases} END WHERE rule IN ({marks})", given)
    counts = db.execute(f"SELECT rule, state, jobs FROM counts WHERE rule IN ({marks})", [*renamed]).fetchall()
    db.execute(f"DELETE FROM counts WHERE rule IN ({marks})", [*renamed])
    db.executemany(
        "INSERT INTO counts VALUES (?,?,?) ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs",
        [(renamed[rule], state, jobs) for rule, state, jobs in counts],
    )


def _release_sources(db: sqlite3.Connection, acting: Set[str]) -> None:
    marks = ",".join("?" * len(acting))
    for due in ("source_due = 1", f"source_due = {PROMISED} AND id IN (SELECT job FROM publications)"):
        db.execute(f"UPDATE jobs SET source_due = 0 WHERE {due} AND rule NOT IN ({marks})", tuple(acting))


def _with_waiting(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("SELECT rule FROM counts WHERE state = 'waiting' AND jobs > 0")}


def _rows(db: sqlite3.Connection, columns: str, rule: str) -> list[Any]:
    """These columns of every job of a rule that waits, without a look at its other jobs."""
    parts = [f"SELECT {columns} FROM {which} AND +rule = ?" for which in (WHOLE, INCOMPLETE)]
    return [row for part in parts for row in db.execute(part, (rule,))]


def _look_through(db: sqlite3.Connection, rule: str, homeless: Homeless, leave: Leave) -> None:
    files, leaving = _members(db, rule), defaultdict[str, list[int]](list)
    for number, root, relative, lacks in _rows(db, "id, root, relative, lacks", rule):
        job = Waiting(number, rule, path_of(root), path_of(relative), lacks)
        if (reason := homeless(job, files.get(number, ()))) is not None:
            leaving[reason].append(number)
    for reason, jobs in leaving.items():
        leave(rule, jobs, reason)


def _members(db: sqlite3.Connection, rule: str) -> dict[int, list[Member]]:
    found = defaultdict[int, list[Member]](list)
    if db.execute("SELECT 1 FROM members LIMIT 1").fetchone() is None:
        return found
    jobs = json.dumps([row[0] for row in _rows(db, "id", rule)])
    columns = "job, role, path, size, mtime_ns, inode, fixed"
    for row in db.execute(f"SELECT {columns} FROM members WHERE job IN (SELECT value FROM json_each(?))", (jobs,)):
        found[row[0]].append(Member(row[1], path_of(row[2]), Fingerprint(*row[3:6]), bool(row[6])))
    return found
