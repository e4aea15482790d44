"""The ledger's schema, grown by appending named steps. A step that has shipped is never edited.

`PRAGMA user_version` counts the steps a ledger has taken.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = []


def migration(step: Callable[[sqlite3.Connection], None]) -> Callable[[sqlite3.Connection], None]:
    """Append `step` to the schema's history."""
    MIGRATIONS.append(step)
    return step


def migrate(connection: sqlite3.Connection) -> None:
    """Take every step this ledger has not taken, all in one transaction: who reads meanwhile finds none of them."""
    if _taken(connection) >= len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    # Asked again now that nobody else can write: another process may have taken them meanwhile.
    if steps := MIGRATIONS[_taken(connection) :]:
        for step in steps:
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _taken(connection: sqlite3.Connection) -> int:
    (taken,) = connection.execute("PRAGMA user_version").fetchone()
    return int(taken)


@migration
def m001_jobs(connection: sqlite3.Connection) -> None:
    """One row a version of a file and rule. `gone`: darkroom removed the source; the same file again is new."""
    connection.execute(
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY, rule TEXT NOT NULL, root NOT NULL, relative NOT NULL,
            size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
            state TEXT NOT NULL, reason TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0,
            content TEXT, recipe TEXT, output, device TEXT,
            source_due INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL, updated REAL NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX jobs_by_source ON jobs (rule, root, relative)")
    connection.execute("CREATE INDEX jobs_queue ON jobs (id) WHERE state = 'waiting'")
    connection.execute("CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running'")
    connection.execute("CREATE INDEX jobs_source_due ON jobs (id) WHERE source_due = 1")


@migration
def m002_history(connection: sqlite3.Connection) -> None:
    """Every change of state, with its time and reason: what `darkroom why` reads."""
    connection.execute(
        "CREATE TABLE history (job INTEGER NOT NULL, time REAL NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL)"
    )
    connection.execute("CREATE INDEX history_by_job ON history (job)")


@migration
def m003_publications(connection: sqlite3.Connection) -> None:
    """Intents: a durable temporary file and the name it is about to take. Emptied as the renames are recorded."""
    connection.execute(
        """
        CREATE TABLE publications (
            job INTEGER PRIMARY KEY, temporary NOT NULL, target NOT NULL, exclusive INTEGER NOT NULL,
            size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL
        )"""
    )


@migration
def m004_outputs(connection: sqlite3.Connection) -> None:
    """Every file darkroom wrote, so that none is ever taken as input, and whose source each one has."""
    connection.execute(
        """
        CREATE TABLE outputs (
            path PRIMARY KEY, job INTEGER NOT NULL,
            size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL
        ) WITHOUT ROWID"""
    )


@migration
def m005_siblings(connection: sqlite3.Connection) -> None:
    """Jobs of one file under any rule: its source is not touched while another rule has yet to read it."""
    connection.execute("CREATE INDEX jobs_by_file ON jobs (root, relative)")


@migration
def m006_own_files(connection: sqlite3.Connection) -> None:
    """Files darkroom wrote, found by what they are: a folder may have several paths, and a file may be moved."""
    connection.execute("CREATE INDEX outputs_by_inode ON outputs (inode)")
    connection.execute("CREATE INDEX publications_by_inode ON publications (inode)")


@migration
def m007_counts(connection: sqlite3.Connection) -> None:
    """Jobs by rule and state, kept by triggers: `status` must not count a million rows to answer."""
    connection.execute(
        "CREATE TABLE counts (rule TEXT, state TEXT, jobs INTEGER NOT NULL, PRIMARY KEY (rule, state)) WITHOUT ROWID"
    )
    add = "INSERT INTO counts VALUES (NEW.rule, NEW.state, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1"
    drop = "UPDATE counts SET jobs = jobs - 1 WHERE rule = OLD.rule AND state = OLD.state"
    connection.execute("INSERT INTO counts SELECT rule, state, count(*) FROM jobs GROUP BY rule, state")
    connection.execute(f"CREATE TRIGGER counts_added AFTER INSERT ON jobs BEGIN {add}; END")
    connection.execute(f"CREATE TRIGGER counts_moved AFTER UPDATE OF state ON jobs BEGIN {drop}; {add}; END")


@migration
def m008_parts(connection: sqlite3.Connection) -> None:
    """A job may publish several files: its output is part 0, the measurements beside it part 1."""
    connection.execute(
        """
        CREATE TABLE parts (
            job INTEGER NOT NULL, part INTEGER NOT NULL, temporary NOT NULL, target NOT NULL,
            exclusive INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
            PRIMARY KEY (job, part)
        )"""
    )
    columns = "temporary, target, exclusive, size, mtime_ns, inode"
    connection.execute(f"INSERT INTO parts SELECT job, 0, {columns} FROM publications")
    connection.execute("DROP TABLE publications")
    connection.execute("ALTER TABLE parts RENAME TO publications")
    connection.execute("CREATE INDEX publications_by_inode ON publications (inode)")


@migration
def m009_measurements(connection: sqlite3.Connection) -> None:
    """What jobs measured: mean squared errors as float64, little-endian, in the order of the steps' series."""
    connection.execute("CREATE TABLE measurements (job INTEGER PRIMARY KEY, steps TEXT NOT NULL, mse BLOB NOT NULL)")


@migration
def m010_repeats(connection: sqlite3.Connection) -> None:
    """The job whose result stands for a skipped one: what a report counts is then that job's."""
    connection.execute("ALTER TABLE jobs ADD COLUMN repeats INTEGER")
    # Until now the reason alone told of it.
    connection.execute(
        "UPDATE jobs SET repeats = CAST(substr(reason, 21) AS INTEGER)"
        " WHERE state = 'skipped' AND reason LIKE 'same content as job %'"
    )


@migration
def m011_tasks(connection: sqlite3.Connection) -> None:
    """What is worth knowing of a finished task, as JSON; the wish to cancel a running job, which the daemon heeds."""
    connection.execute("CREATE TABLE records (job INTEGER PRIMARY KEY, record TEXT NOT NULL)")
    connection.execute("ALTER TABLE jobs ADD COLUMN cancel INTEGER NOT NULL DEFAULT 0")


@migration
def m012_groups(connection: sqlite3.Connection) -> None:
    """Groups of files: which belong to a job, and what one that is not whole `lacks`. Such a job is in no queue."""
    connection.execute(
        """
        CREATE TABLE members (
            job INTEGER NOT NULL, role TEXT NOT NULL, path NOT NULL,
            size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, fixed INTEGER NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX members_by_job ON members (job)")
    connection.execute("CREATE INDEX members_by_path ON members (path)")
    connection.execute("ALTER TABLE jobs ADD COLUMN lacks TEXT")
    connection.execute("DROP INDEX jobs_queue")
    connection.execute("CREATE INDEX jobs_queue ON jobs (id) WHERE state = 'waiting' AND lacks IS NULL")
    connection.execute("CREATE INDEX jobs_incomplete ON jobs (rule) WHERE state = 'waiting' AND lacks IS NOT NULL")


@migration
def m013_rules(connection: sqlite3.Connection) -> None:
    """The rules last in force, with all that each is but its name: by that, one that is only renamed keeps its jobs."""
    connection.execute("CREATE TABLE rules (name TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID")


@migration
def m014_asked_again(connection: sqlite3.Connection) -> None:
    """Whether a user asked for a job that may be done already. Until now its reason told it, and the next hid that."""
    connection.execute("ALTER TABLE jobs ADD COLUMN asked_again INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "UPDATE jobs SET asked_again = 1 WHERE state = 'waiting' AND reason = 'asked for by the user: once more'"
    )


@migration
def m015_takes(connection: sqlite3.Connection) -> None:
    """What each rule takes: the waiting jobs of one that still takes the same need not be looked through."""
    connection.execute("ALTER TABLE rules ADD COLUMN takes TEXT NOT NULL DEFAULT ''")


@migration
def m016_receipts(connection: sqlite3.Connection) -> None:
    """Which files are notes of failures, and of which job: where one lies says nothing, once `output` was edited."""
    connection.execute("ALTER TABLE outputs ADD COLUMN receipt INTEGER NOT NULL DEFAULT 0")
    connection.execute("CREATE INDEX receipts_by_job ON outputs (job) WHERE receipt = 1")
    connection.execute(
        "UPDATE outputs SET receipt = 1 WHERE CAST(substr(path, -10) AS TEXT) = '.error.txt'"
        " AND EXISTS (SELECT 1 FROM history WHERE history.job = outputs.job AND state = 'failed')"
    )


@migration
def m017_folders(connection: sqlite3.Connection) -> None:
    """Folders that rules write into, or wrote into before an edit: a kill may have left temporary files there."""
    connection.execute("CREATE TABLE folders (path PRIMARY KEY) WITHOUT ROWID")


@migration
def m018_by_rule(connection: sqlite3.Connection) -> None:
    """Jobs by rule alone: a rule that is renamed has the index of all its jobs written anew, and this one is short.

    Files are found by `jobs_by_file`, since few rules have the same; `+rule` in a query keeps SQLite to that.
    """
    connection.execute("DROP INDEX jobs_by_source")
    connection.execute("CREATE INDEX jobs_by_rule ON jobs (rule)")
