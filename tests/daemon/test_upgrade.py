"""Questions of a newer package, and of users who may not write: the ledger, and the daemon on it, stay as they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from daemon.ledger.migrations import MIGRATIONS
from tests.box import Box, Pixels, wait_until
from tests.daemon.test_dry_run import READ_ONLY

NEWER = """
import sys
from daemon.ledger.migrations import MIGRATIONS
MIGRATIONS.append(lambda connection: connection.execute("CREATE TABLE of_the_next_version (x)"))
from daemon.cli import main
for words in sys.argv[1:]:
    print("=", words, flush=True)
    print("=", main(words.split()), flush=True)
"""
"""A darkroom whose ledger has one step more, and commands of it."""


def newer(box: Box, *commands: str) -> dict[str, tuple[str, str]]:
    """The exit status of each command of a newer darkroom, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", NEWER, *commands],
        cwd=box.folder, env=box.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    parts = [part.strip() for part in f"\n{done.stdout}".split("\n=")[1:]]
    return {command: (status, said[len(command) :]) for command, (said, status) in _pairs(parts)}


def _pairs(parts: list[str]) -> list[tuple[str, tuple[str, str]]]:
    commands = [part.partition("\n")[0] for part in parts[::2]]
    return list(zip(commands, zip(parts[::2], parts[1::2], strict=True), strict=True))


def schema(box: Box) -> int:
    with closing(sqlite3.connect(box.folder / "var/ledger.db")) as ledger:
        return int(ledger.execute("PRAGMA user_version").fetchone()[0])


def test_a_newer_package_asks_beside_a_daemon(box: Box, small: Pixels) -> None:
    """Migrated below it, the ledger would be too new for the daemon, which then had to end."""
    daemon = box.start()
    box.drop("in/a.png", small)
    wait_until(lambda: box.states() == {"a.png": "done"})
    changing = ("retry --all-failed", "redo 1", "cancel 1")
    told = newer(box, "jobs", *changing, "why in/a.png", "status", "doctor")
    for command in ("jobs", *changing):
        status, said = told[command]
        assert status == "1" and said.count("\n") == 1, told[command]
        assert f"var/ledger.db: of an older darkroom (schema {len(MIGRATIONS)}); start the daemon, or restart" in said
    assert told["why in/a.png"][0] == "0" and "job 1, done" in told["why in/a.png"][1], "the daemon itself answers"
    assert told["status"][0] == "0" and "running" in told["status"][1]
    assert "of an older darkroom; the daemon brings it up to date" in told["doctor"][1]
    assert schema(box) == len(MIGRATIONS)
    box.drop("in/b.png", small)
    wait_until(lambda: box.states().get("b.png") == "done")
    assert daemon.process.poll() is None


def test_a_newer_package_where_no_daemon_runs(box: Box, small: Pixels) -> None:
    """Who asks changes nothing. Who writes may bring it up to date: the next daemon would, too."""
    box.drop("in/a.png", small)
    box.once()
    told = newer(box, "jobs", "why in/a.png", "status", "check --explain in/a.png", "run --dry-run")
    for command in ("jobs", "why in/a.png", "status"):
        assert "of an older darkroom" in told[command][1]
    assert "job 1 is done" in told["check --explain in/a.png"][1] and "1 already done" in told["run --dry-run"][1]
    assert schema(box) == len(MIGRATIONS)
    assert newer(box, "redo 1")["redo 1"][0] == "0"
    assert schema(box) == len(MIGRATIONS) + 1


def test_who_may_not_write_may_ask(box: Box, small: Pixels) -> None:
    box.drop("in/a.png", small)
    box.once()
    try:
        subprocess.run(["unshare", "-m", "sh", "-c", READ_ONLY, box.folder, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root, and the right to mount")

    def asked(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "-m", "sh", "-c", READ_ONLY, str(box.folder), *box.command(*words)]
        return subprocess.run(command, env=box.environment, capture_output=True, text=True, check=False)

    assert "mosaic: a.png: published" in asked("jobs").stdout
    assert "job 1, done" in asked("why", "in/a.png").stdout
    assert "ledger cannot be read" not in asked("status").stdout
    refused = asked("redo", "1")
    assert refused.returncode == 1 and "free space" not in refused.stderr
    assert "ask as the daemon's user" in refused.stderr and refused.stderr.count("\n") == 1


MADE = """
import sys, time
from daemon.ledger.migrations import MIGRATIONS
step = MIGRATIONS[8]
MIGRATIONS[8] = lambda connection: (time.sleep(1), step(connection))
from daemon.cli import main
sys.exit(main(["run", "--once"]))
"""


def test_while_the_ledger_is_made(box: Box) -> None:
    """All of it comes at once: who asks meanwhile finds no jobs, and no ledger of an older darkroom."""
    making = subprocess.Popen([sys.executable, "-c", MADE], cwd=box.folder, env=box.environment)
    wait_until((box.folder / "var/ledger.db").exists)
    asked = 0
    while making.poll() is None and schema(box) == 0:
        assert box.jobs() == []
        asked += 1
    assert asked and making.wait(30) == 0


ASKS = """
import sys
from daemon.cli import main
for words in sys.argv[1:]:
    assert main(words.split()) == 0
HEAVY = {"pydantic", "yaml", "numpy", "cv2", "onnxruntime", "PIL", "_hashlib", "daemon.config", "daemon.codec"}
print("loaded", sorted(HEAVY & sys.modules.keys()))
"""


def test_an_answer_beside_a_daemon_loads_little(box: Box, small: Pixels) -> None:
    """To read config.yaml whole takes longer than any answer: where its daemon is, is told at a glance."""
    box.start()
    box.drop("in/a.png", small)
    wait_until(lambda: box.states() == {"a.png": "done"})
    words = [sys.executable, "-c", ASKS, "jobs", "jobs --rule mosaic --json", "why in/a.png", "status", "status --json"]
    done = subprocess.run(words, cwd=box.folder, env=box.environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"
