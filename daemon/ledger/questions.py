"""What the ledger is asked. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daemon.ledger import measurements, members
from daemon.ledger.database import Database, chunks, path_of, text
from daemon.ledger.jobs import COLUMNS, job_of
from daemon.ledger.measurements import MeasuredPictures
from daemon.ledger.values import PROMISED, Intent, Measured, OutputRecord
from daemon.model import EarlierResult, Fingerprint, Job, Member, State


class Questions:
    """The questions. Each raises BlockedError when the disk does not let it be answered (see `Database`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = database.read

    def damage(self) -> str:
        """What is wrong with the file, "" if nothing is. All of it is read."""
        (told,) = self._read("PRAGMA quick_check(1)", ())[0]
        return "" if told == "ok" else str(told)

    # -- files ---------------------------------------------------------------------------------------------------

    def latest(self, rule: str, root: str, relatives: Sequence[str]) -> dict[str, Fingerprint]:
        """The newest known version of each file under a rule; files without a job, or gone since, are absent."""
        found: dict[str, Fingerprint] = {}
        sql = (
            "SELECT relative, size, mtime_ns, inode, gone, max(id) FROM jobs"
            " WHERE +rule = ? AND root = ? AND relative IN ({}) GROUP BY relative"
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

    def written_as(self, fingerprint: Fingerprint) -> OutputRecord | None:
        """What is known of a file that darkroom wrote, whatever it is called by now."""
        sql = (
            "SELECT o.job, j.rule, j.root, j.relative FROM outputs o JOIN jobs j ON j.id = o.job"
            " WHERE o.inode = ? AND o.size = ? AND o.mtime_ns = ? ORDER BY o.job DESC LIMIT 1"
        )
        for row in self._read(sql, (fingerprint.inode, fingerprint.size, fingerprint.mtime_ns)):
            return OutputRecord(row[0], row[1], f"{path_of(row[2])}/{path_of(row[3])}", fingerprint)
        return None

    def own(self, fingerprints: Sequence[Fingerprint]) -> set[Fingerprint]:
        """Which of these files darkroom wrote, or is about to give their name; wherever they lie by now."""
        found = set[Fingerprint]()
        for chunk in chunks([fingerprint.inode for fingerprint in fingerprints]):
            marks = ",".join("?" * len(chunk))
            for table in ("outputs", "publications"):
                sql = f"SELECT size, mtime_ns, inode FROM {table} WHERE inode IN ({marks})"
                found |= {Fingerprint(*row) for row in self._read(sql, tuple(chunk))}
        return found & set(fingerprints)

    def folders(self) -> set[str]:
        """The folders that rules write into, and those that rules wrote into before they were edited."""
        return {path_of(row[0]) for row in self._read("SELECT path FROM folders", ())}

    def known_rules(self) -> dict[str, str]:
        """The rules that were in force last, by name: what each is but its name."""
        return dict(self._read("SELECT name, identity FROM rules", ()))

    # -- jobs ----------------------------------------------------------------------------------------------------

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
        sql = f"SELECT {COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
        return [job_of(row) for row in self._read(sql, (*values, limit))]

    def of_source(self, root: str, relative: str) -> list[Job]:
        """Every job a file has had under any rule, oldest first."""
        sql = f"SELECT {COLUMNS} FROM jobs WHERE root = ? AND relative = ? ORDER BY id"
        return [job_of(row) for row in self._read(sql, (text(root), text(relative)))]

    def source_due(self) -> list[Job]:
        """Done jobs whose source is still to be deleted or moved."""
        return [job_of(row) for row in self._read(f"SELECT {COLUMNS} FROM jobs WHERE source_due = 1", ())]

    def source_promised(self, jobs: Sequence[int]) -> set[int]:
        """Which of these jobs were to have their sources deleted or moved, when their publishing became certain."""
        found = set[int]()
        for chunk in chunks(jobs):
            marks = ",".join("?" * len(chunk))
            sql = f"SELECT id FROM jobs WHERE source_due = {PROMISED} AND id IN ({marks})"
            found |= {row[0] for row in self._read(sql, tuple(chunk))}
        return found

    def rules_of(self, jobs: Sequence[Job]) -> dict[int, str]:
        """The rule that each of these jobs belongs to now: it may have been renamed since they were claimed."""
        return {each.id: each.rule for each in self.jobs(ids=[job.id for job in jobs])}

    def newest(self, jobs: Sequence[Job]) -> dict[int, int]:
        """For each job, the id of the newest job of the same rule and file (itself, unless it was replaced)."""
        # By its row, not by the rule it was claimed under: that may have been renamed since.
        sql = (
            "SELECT max(k.id) FROM jobs j JOIN jobs k ON +k.rule = j.rule AND k.root = j.root"
            " AND k.relative = j.relative WHERE j.id = ?"
        )
        return {job.id: self._read(sql, (job.id,))[0][0] for job in jobs}

    def newest_of_rule(self, rule: str) -> list[Job]:
        """The newest job of every file, or group, that a rule ever had; newest first."""
        sql = (
            f"SELECT {COLUMNS} FROM jobs WHERE id IN"
            " (SELECT max(id) FROM jobs WHERE rule = ? GROUP BY root, relative) ORDER BY id DESC"
        )
        return [job_of(row) for row in self._read(sql, (rule,))]

    def earlier_results(self, jobs: Sequence[Job]) -> dict[int, EarlierResult]:
        """For each job whose file had one done under the same rule: what the last of those gave."""
        sql = (
            "SELECT j.id, j.content, j.recipe, o.path, o.size, o.mtime_ns, o.inode FROM jobs j"
            " JOIN outputs o ON o.path = j.output AND o.job = j.id"
            " WHERE +j.rule = ? AND j.root = ? AND j.relative = ? AND j.state = 'done' ORDER BY j.id DESC LIMIT 1"
        )
        found = dict[int, EarlierResult]()
        for job in jobs:
            for row in self._read(sql, (job.rule, text(job.root), text(job.relative))):
                found[job.id] = EarlierResult(row[0], row[1], row[2], path_of(row[3]), Fingerprint(*row[4:7]))
        return found

    def receipts_of(self, jobs: Sequence[int]) -> dict[int, list[str]]:
        """The notes of failures of these jobs, and of those that other versions of their files had under the same rule.

        Wherever they lie; jobs without any are absent.
        """
        sql = (
            "SELECT j.id, o.path FROM jobs j JOIN jobs k ON +k.rule = j.rule AND k.root = j.root"
            " AND k.relative = j.relative JOIN outputs o ON o.job = k.id AND o.receipt = 1 WHERE j.id IN ({})"
        )
        found = dict[int, list[str]]()
        for chunk in chunks(jobs):
            for job, path in self._read(sql.format(",".join("?" * len(chunk))), tuple(chunk)):
                found.setdefault(job, []).append(path_of(path))
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

    # -- groups --------------------------------------------------------------------------------------------------

    def members(self, jobs: Sequence[int]) -> dict[int, tuple[Member, ...]]:
        """The files of each of these jobs, in the order of the rule's inputs; jobs of one file are absent."""
        return members.of_jobs(self._database, jobs)

    def of_member(self, path: str) -> list[Job]:
        """Every job of a group that a file has belonged to, oldest first."""
        return members.jobs_with(self._database, path)

    def newest_groups(self, rule: str, root: str, names: Sequence[str]) -> dict[str, Job]:
        """The newest job of each of these groups; those without one, or gone since, are absent."""
        return members.newest(self._database, rule, root, names)

    def waiting_groups(self, rule: str, root: str) -> list[str]:
        """The names of a rule's jobs that wait, below a watched folder."""
        return members.waiting(self._database, rule, root)

    def incomplete(self) -> dict[str, int]:
        """By rule, how many jobs wait for files that are not there; rules without any are absent."""
        return members.incomplete(self._database)

    def incomplete_jobs(self, rule: str, limit: int) -> list[Job]:
        """Jobs of a rule that wait for files that are not there, oldest first."""
        return members.incomplete_jobs(self._database, rule, limit)

    # -- measurements --------------------------------------------------------------------------------------------

    def measured(self, jobs: Sequence[int]) -> dict[int, Measured]:
        """What each of these jobs measured; those that measured nothing are absent."""
        return measurements.of_jobs(self._database, jobs)

    def records(self, jobs: Sequence[int]) -> dict[int, str]:
        """What is worth knowing of these finished tasks, as JSON; other jobs are absent."""
        found = dict[int, str]()
        for chunk in chunks(jobs):
            marks = ",".join("?" * len(chunk))
            found |= dict(self._read(f"SELECT job, record FROM records WHERE job IN ({marks})", tuple(chunk)))
        return found

    def cancel_asked(self, job: int) -> bool:
        """Whether a user wishes this running job to be cancelled."""
        return bool(self._read("SELECT 1 FROM jobs WHERE id = ? AND cancel = 1", (job,)))

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
