"""Backed up, restored, moved: what docs/operations.md promises of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import DarkroomError
from daemon.ledger import Arrival, Ledger
from daemon.model import Fingerprint
from tests.box import Box, Pixels, wait_until

CONFIG = """version: 1
settle: 100ms
rules:
  - {name: mosaic, watch: in, steps: [mosaic: {block: 16}], output: "out/{stem}.{ext}", on_conflict: rename}
  - {name: beside, watch: mix, steps: [mosaic: {block: 16}], output: "mix/{stem}-m.{ext}"}
  - {name: moved, watch: drop, steps: [mosaic: {block: 16}], output: "done/{name}", source: {move: {to: "old/{name}"}}}
  - name: pair
    watch: pairs
    inputs: {near: "{key}.near.*", far: "{key}.far.*"}
    steps: [hybrid]
    output: hybrids/{key}.png
"""
"""Outputs beside their sources, and names that give way: the worst that a ledger which lost its place could repeat."""


@pytest.fixture
def worked(box: Box, small: Pixels) -> Box:
    """With something of everything: done, failed, a whole group, one that waits for a file."""
    box.write_config(CONFIG)
    for name in ("in/a.png", "mix/a.png", "drop/a.png", "pairs/half.near.png"):
        box.drop(name, small)
    for name in ("in/broken.png", "pairs/whole.near.png", "pairs/whole.far.png"):
        box.drop(name, b"no picture")
    box.once(check=1)
    assert Counter(job["state"] for job in box.jobs()) == {"done": 3, "failed": 2, "waiting": 1}
    return box


def pictures(box: Box) -> list[str]:
    return [name for name in box.files(".") if not name.startswith(("cache/", "var/"))]


def in_place(box: Box, folder: Path) -> Box:
    """The same box, at another place."""
    box.folder = folder
    box.environment = box.environment | {"XDG_CACHE_HOME": str(folder / "cache")}
    return box


def relocate(box: Box, old: Path, check: int = 0) -> str:
    done = box.darkroom("relocate", str(old), str(box.folder), check=check)
    return done.stdout + done.stderr


@pytest.mark.parametrize("how", ["moved", "copied", "copied without nanoseconds"])
def test_at_another_place_nothing_is_done_again(worked: Box, small: Pixels, tmp_path: Path, how: str) -> None:
    before, jobs, old = pictures(worked), len(worked.jobs()), worked.folder
    new = tmp_path.with_name(f"{tmp_path.name}-new")
    if how == "moved":
        old.rename(new)
        old.mkdir()  # pytest's own
    elif how == "copied":
        shutil.copytree(old, new, symlinks=True)
    else:
        new.mkdir()
        archive = new.with_suffix(".tar")
        subprocess.run(["tar", "--format=gnu", "-C", old, "-cf", archive, "."], check=True)
        subprocess.run(["tar", "-C", new, "-xf", archive], check=True)
    box = in_place(worked, new)
    said = relocate(box, old)
    assert "files are as the ledger knows them" in said and "count as new" not in said
    box.drop("in/new.png", small)
    box.once()
    assert pictures(box) == sorted([*before, "in/new.png", "out/new.png"])
    assert len(box.jobs()) == jobs + 1
    assert box.darkroom("why", str(new / "out" / "a.png")).stdout.startswith(
        f"{new}/out/a.png: written by darkroom, from {new}/in/a.png"
    )


def test_what_cannot_be_relocated(worked: Box, tmp_path: Path) -> None:
    assert "no such folder" in worked.darkroom("relocate", "in", "nowhere", check=1).stderr
    assert "names no folder there" in worked.darkroom("relocate", "in", "cache", check=1).stderr
    elsewhere = tmp_path / "elsewhere"
    assert "darkroom has worked there since" in relocate(worked, elsewhere, check=1)
    worked.start()
    assert "another darkroom" in relocate(worked, worked.folder, check=1)


def test_up_and_down(tmp_path: Path) -> None:
    """Into a folder of the old one, and to one above it."""
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:

        def roots() -> list[str]:
            return sorted(job.root for job in ledger.jobs())

        ledger.add([Arrival("r", "/srv/in", "1.png", Fingerprint(1, 2, 3), "found")])
        ledger.relocate("/srv", "/srv/pictures", lambda path, before: None)
        assert roots() == ["/srv/pictures/in"]
        with pytest.raises(DarkroomError, match="darkroom has worked there since"):
            ledger.relocate("/srv", "/srv/pictures", lambda path, before: None)
        ledger.add([Arrival("r", "/srv/always", "2.png", Fingerprint(1, 2, 4), "found")])
        ledger.relocate("/srv/pictures", "/srv", lambda path, before: None)
        assert roots() == ["/srv/always", "/srv/in"]
        ledger.relocate("/", "/mnt", lambda path, before: None)
        ledger.relocate("/mnt", "/", lambda path, before: None)
        assert roots() == ["/srv/always", "/srv/in"]


def test_a_back_up_made_while_it_works(box: Box, small: Pixels) -> None:
    """As docs/operations.md has it; what was done since is done once more, under the names it had."""
    box.drop("in/before.png", small)
    daemon = box.start()
    wait_until(lambda: box.states() == {"before.png": "done"})
    with (
        closing(sqlite3.connect(box.folder / "var/ledger.db")) as live,
        closing(sqlite3.connect(box.folder / "copy.db")) as copy,
    ):
        live.backup(copy)
    box.drop("in/since.png", small)
    wait_until(lambda: len(box.jobs("--state", "done")) == 2)
    daemon.stop()
    kept = (box.folder / "out/before.png").stat().st_mtime_ns
    (box.folder / "copy.db").rename(box.folder / "var/ledger.db")
    said = box.darkroom("run", "--dry-run").stdout
    assert "since.png" in said and "before.png" not in said
    box.once()
    assert box.files("out") == ["before.png", "since.png"]
    assert (box.folder / "out/before.png").stat().st_mtime_ns == kept


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work in another user's folder")
def test_what_root_relocates_stays_its_owners_to_lock(worked: Box, tmp_path: Path) -> None:
    """A back-up has no lock: `relocate`, called by root, makes one, and the service has to take it."""
    lock = worked.folder / "var/daemon.lock"
    lock.unlink()
    os.chown(worked.folder / "var", 1, 1)
    relocate(worked, worked.folder)
    assert (lock.stat().st_uid, lock.stat().st_gid) == (1, 1)
    aside = tmp_path / "aside"
    aside.write_text("not a lock")
    lock.unlink()
    lock.symlink_to(aside)
    assert "daemon.lock: cannot be written" in relocate(worked, worked.folder, check=1)
    assert aside.read_text() == "not a lock"
    (worked.folder / "var/ledger.db").unlink()
    lock.unlink()
    assert "no ledger is here" in relocate(worked, worked.folder, check=1) and not lock.exists()
