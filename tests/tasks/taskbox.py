"""A box whose rules may name the toys: what their tests ask of it again and again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon.control.asker import NoAnswerError, ask
from tests.box import Box, Daemon, Pixels, wait_until

SLOW = "wander: {steps: 200, pause: 0.05}"
CALM = "wander: {steps: 200}"
"""The same task with the same result, as fast as it goes."""


def rule(name: str, steps: str, *more: str) -> str:
    """A rule from the folder `name` to `out/name`; `more` are further lines of it."""
    lines = [f"name: {name}", f"watch: {name}", f"steps: [{steps}]", *more]
    if not any(line.startswith("output:") for line in more):
        lines.append(f"output: out/{name}/{{stem}}.{{ext}}")
    return "  - " + "\n    ".join(lines) + "\n"


class TaskBox(Box):
    """Tasks are saved every 100 ms unless `tasks` says otherwise."""

    def configure(self, *rules: str, tasks: str = "checkpoint: 100ms") -> None:
        self.write_config(f"version: 1\nsettle: 100ms\ntasks: {{{tasks}}}\nrules:\n{''.join(rules)}")

    def reset(self) -> None:
        """Forget what the toys did so far."""
        (self.folder / "diary").unlink(missing_ok=True)

    def diary(self, word: str = "") -> list[str]:
        """What the toys did, in the lines that start with `word`."""
        file = self.folder / "diary"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(word)]

    def begins(self) -> list[int]:
        """The steps after which `wander` began, so far."""
        return [int(line.split()[-1]) for line in self.diary("wander: from")]

    def state(self, name: str) -> str:
        """The state of the newest job of a source, read as fast as a test may poll."""
        return self.row(name)[1]

    def row(self, name: str) -> tuple[int, str, str]:
        """(id, state, reason) of the newest job of a source such as `slow/cat.png`; empty before there is one."""
        where = "rule = ? AND CAST(relative AS TEXT) = ? ORDER BY id DESC LIMIT 1"
        found = self._ask(f"SELECT id, state, reason FROM jobs WHERE {where}", *name.split("/", 1))
        return (found[0], found[1], found[2]) if found else (0, "", "")

    def updated(self, job: int) -> float:
        """When a job last changed its state, seconds since the epoch."""
        return float(self._ask("SELECT updated FROM jobs WHERE id = ?", job)[0])

    def _ask(self, sql: str, *values: object) -> Any:
        path = self.folder / "var" / "ledger.db"
        if not path.exists():
            return None
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            try:
                return ledger.execute(sql, values).fetchone()
            except sqlite3.OperationalError:  # it is being made
                return None

    def until(self, name: str, state: str, timeout: float = 120.0) -> str:
        """Wait for the state of a source; the reason."""

        def there() -> str | None:
            _, now, reason = self.row(name)
            return reason or "-" if now == state else None

        try:
            reason: str = wait_until(there, timeout, f"{name}: {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.row(name)}; the diary: {self.diary()}") from None
        return reason

    def until_step(self, least: int = 1, timeout: float = 120.0) -> None:
        """Wait until a running task is told to have made so many steps."""

        def far() -> bool:
            return any(task["step"] >= least for task in self.snapshot().get("tasks", []))

        wait_until(far, timeout, f"step {least}")

    def until_begun(self, word: str = "wander", times: int = 1) -> None:
        """Wait until a toy has been called."""
        wait_until(lambda: len(self.diary(f"{word}: from")) >= times, 120, f"{word} to begin")

    def until_paused(self, times: int = 1) -> None:
        """Wait for the first slow step of a run of `wander`, or that of the nth run."""
        wait_until(lambda: len(self.diary("wander: pauses")) >= times, 120, "the pause")

    def until_saved(self, job: int) -> None:
        """Wait for a checkpoint."""
        wait_until(self.checkpoint(job).exists, 120, "a checkpoint")

    def checkpoint(self, job: int) -> Path:
        return self.tasks_folder(job) / "checkpoint.safetensors"

    def tasks_folder(self, job: int) -> Path:
        return self.folder / "var" / "tasks" / str(job)

    def snapshot(self) -> dict[str, Any]:
        """What the daemon tells, as `status` asks it; nothing where it does not answer."""
        try:
            return ask(self.folder / "var", "status")
        except NoAnswerError:
            return {}

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.darkroom("status", "--json").stdout)
        return found

    def job(self, name: str) -> dict[str, Any]:
        """The newest job of a source, as `darkroom jobs --json` tells of it."""
        return next(job for job in self.jobs() if job["source"] == str(self.folder / name))

    def history(self, name: str) -> str:
        """All that was decided about a source."""
        return self.darkroom("why", str(self.folder / name)).stdout

    def previews(self) -> list[str]:
        return [name for name in self.files("out") if name.endswith(".preview.jpg")]

    def result(self, name: str) -> tuple[Pixels, Pixels]:
        """The picture that `wander` made, and the one beside it."""
        return self.picture(f"out/{name}"), self.picture(f"out/{name}.noise.jpg")


def workers(daemon: Daemon) -> list[int]:
    """The worker processes of a daemon, as the system tells."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == daemon.process.pid and b"daemon.tasks.worker" in words:
            found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(*pids: int) -> None:
    """Wait for processes to end."""
    assert pids
    wait_until(lambda: not any(map(alive, pids)), 20, f"the end of {pids}")


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


def losses(job: dict[str, Any]) -> list[dict[str, float]]:
    """The history of losses in a job's record."""
    found: list[dict[str, float]] = job["losses"]
    return found
