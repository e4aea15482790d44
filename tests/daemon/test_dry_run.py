"""`run --dry-run`: what it says comes true, and it leaves no trace whatever."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemon.ledger.migrations import MIGRATIONS
from tests import pairs
from tests.box import Box, Pixels, wait_until


def everything(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every path below a folder, with all that a change would change.

    But not the time of the last change of an inode: as root, SQLite gives the log's index the owner that it has.
    """
    found = dict[str, tuple[int, ...]]()
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode, status.st_uid)
    return found


def dry(box: Box, *words: str) -> list[str]:
    """The lines of a dry run, which must leave no trace."""
    before = everything(box.folder)
    said = box.darkroom("run", "--dry-run", *words).stdout
    assert everything(box.folder) == before
    return said.replace(f"{box.folder}/", "").splitlines()


def planned(box: Box) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(box.darkroom("run", "--dry-run", "--json").stdout)
    return told


def test_nothing_is_made_where_there_is_nothing(box: Box) -> None:
    shutil.rmtree(box.folder / "var")
    done = box.darkroom("run", "--dry-run")
    assert done.stdout == "mosaic: nothing there\n"
    assert done.stderr == f"{box.folder}/in: not there; darkroom makes it\n"
    assert sorted(os.listdir(box.folder)) == ["cache", "config.yaml"]


def test_what_is_said_comes_true(box: Box, small: Pixels) -> None:
    box.rules("when: {min_width: 100}\noutput: out/{dir}/{stem}-{height}.png\non_conflict: rename")
    box.drop("in/a.jpg", small)
    box.drop("in/sub/b.png", small)
    box.drop("in/narrow.png", small[:, :50].copy())
    box.drop("in/broken.png", b"broken")
    box.drop("in/notes.txt", b"none of ours")
    box.drop("out/a-96.png", b"somebody else's")
    assert dry(box)[:4] == [
        "mosaic: a.jpg → out/a-96-1.png: out/a-96.png is taken",
        "mosaic: broken.png: fails: this is a text, not a picture; give darkroom a JPEG, PNG, WebP, TIFF or BMP",
        "mosaic: narrow.png: skipped: width 50 < min_width 100",
        "mosaic: sub/b.png → out/sub/b-96.png",
    ]
    assert dry(box)[4:] == ["mosaic: 2 to process, 1 skipped, 1 failing"]
    plans = {each["source"]: each for each in planned(box)["pictures"]}
    box.once(check=1)
    states = {"process": "done", "skip": "skipped", "fail": "failed"}
    for job in box.jobs():
        plan = plans[job["source"]]
        assert (states[plan["plan"]], plan["output"]) == (job["state"], job["output"])
        assert plan["reason"] in (None, job["reason"])
    assert dry(box) == ["mosaic: 2 already done, 2 failed, skipped or cancelled before"]


def test_content_that_was_done_is_skipped(box: Box, small: Pixels) -> None:
    path = box.drop("in/a.png", small)
    box.once()
    os.utime(path, (1, 1))
    (line, total) = dry(box)
    same = "same content as job 1, whose output stands: out/a.png, if the rule is as it was then"
    assert line == f"mosaic: a.png: skipped: {same}"
    assert total == "mosaic: 1 skipped"


def test_two_pictures_of_one_name(box: Box, small: Pixels) -> None:
    box.rules("output: out/{stem}.png")
    box.drop("in/a.jpg", small)
    box.drop("in/a.png", small)
    assert dry(box)[:2] == [
        "mosaic: a.jpg → out/a.png: the name of a.png too: the later one replaces the earlier",
        "mosaic: a.png → out/a.png: the name of a.jpg too: the later one replaces the earlier",
    ]


def test_after_an_edit_that_no_daemon_has_seen(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    box.once()
    config = (box.folder / "config.yaml").read_text()
    box.write_config(config.replace("name: mosaic", "name: cells"))
    assert "cells: 1 already done" in box.darkroom("run", "--dry-run").stdout
    box.write_config(config.replace("name: mosaic", "name: cells\n    recursive: false"))
    assert "cells: 1 to process" in box.darkroom("run", "--dry-run").stdout
    assert {job["rule"] for job in box.jobs()} == {"mosaic"}, "nothing was written"


def test_a_file_that_is_not_still(box: Box, small: Pixels) -> None:
    box.rules(head="settle: 1h")
    box.drop("in/a.png", small, age=0)
    assert dry(box) == [
        "mosaic: a.png: not still yet: it changed less than 3600 s ago",
        "mosaic: 1 not still yet",
    ]


def test_colour_depends_on_the_picture(box: Box, small: Pixels) -> None:
    box.rules("when: {color: true}")
    box.drop("in/a.png", small)
    assert dry(box)[0] == "mosaic: a.png → out/a.png: if its colours fit `when`"


def test_groups(box: Box, small: Pixels) -> None:
    pairs.furnish(box)
    for name in ("castle.near.jpg", "tower.near.png", "tower.far.png", "moat.far.png", "moat.far.jpg"):
        box.drop(f"in/{name}", small)
    assert dry(box) == [
        "pairs: castle: waits for far: a file like castle.far.*",
        "pairs: moat: fails: two files for far, moat.far.jpg and moat.far.png; take one of them away, or rename it",
        "pairs: tower → out/tower.png",
        "pairs: 1 to process, 1 failing, 1 waiting for partners",
    ]


def test_the_own_output_is_not_taken(box: Box, small: Pixels) -> None:
    box.rules("output: in/made/{stem}.png")
    box.drop("in/a.png", small)
    box.once()
    assert dry(box) == ["mosaic: 1 already done"]


def test_after_a_kill(box: Box, small: Pixels) -> None:
    """The ledger's log and its index are left behind, and have to be read as they are."""
    box.rules(steps="[grayscale, grayscale]")  # its graph is not there: jobs wait while it is built
    daemon = box.start()
    box.drop("in/a.png", small)
    wait_until(box.jobs)
    daemon.stop(signal.SIGKILL)
    shutil.rmtree(box.folder / "cache")  # the child that builds the graph is not yet at its end
    assert (box.folder / "var/ledger.db-wal").stat().st_size
    assert dry(box) == ["mosaic: a.png → out/a.png", "mosaic: 1 to process"]


def test_beside_a_daemon(box: Box, small: Pixels) -> None:
    daemon = box.start()
    box.drop("in/a.png", small)
    wait_until(lambda: box.states() == {"a.png": "done"})
    before = sorted(os.listdir(box.folder / "var"))
    assert box.darkroom("run", "--dry-run").stdout == "mosaic: 1 already done\n"
    assert sorted(os.listdir(box.folder / "var")) == before
    box.drop("in/b.png", small)
    wait_until(lambda: box.states().get("b.png") == "done")
    assert daemon.stop() == 0


def test_a_ledger_of_an_older_darkroom(box: Box, small: Pixels) -> None:
    path = box.drop("in/a.png", small)
    status = path.stat()
    ledger = sqlite3.connect(box.folder / "var/ledger.db", isolation_level=None)
    for step in MIGRATIONS[:5]:
        step(ledger)
    ledger.execute("PRAGMA user_version = 5")
    ledger.execute(
        "INSERT INTO jobs (rule, root, relative, size, mtime_ns, inode, state, reason, created, updated)"
        " VALUES ('mosaic', ?, 'a.png', ?, ?, ?, 'done', 'published', 0, 0)",
        (str(box.folder / "in"), status.st_size, status.st_mtime_ns, status.st_ino),
    )
    ledger.close()
    assert dry(box) == ["mosaic: 1 already done"]


def test_a_ledger_of_a_newer_darkroom(box: Box) -> None:
    ledger = sqlite3.connect(box.folder / "var/ledger.db")
    ledger.execute("PRAGMA user_version = 999")
    ledger.close()
    done = box.darkroom("run", "--dry-run", check=1)
    assert "written by a newer darkroom (schema 999)" in done.stderr


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'


def test_on_a_disk_that_is_read_only(box: Box, small: Pixels) -> None:
    box.drop("in/a.png", small)
    box.once()
    box.drop("in/b.png", small)
    try:
        subprocess.run(["unshare", "-m", "sh", "-c", READ_ONLY, box.folder, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root, and the right to mount")
    for words in (["run", "--dry-run"], ["check", "--explain", "in/b.png"]):
        command = ["unshare", "-m", "sh", "-c", READ_ONLY, str(box.folder), *box.command(*words)]
        done = subprocess.run(command, env=box.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and f"→ {box.folder}/out/b.png" in done.stdout, done.stderr


def test_json_alone_is_refused(box: Box) -> None:
    assert "--json goes with --dry-run" in box.darkroom("run", "--json", check=2).stderr
