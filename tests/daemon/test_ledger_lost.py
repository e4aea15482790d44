"""A ledger that is held, gone, replaced or damaged: one line says so, with the remedy, and nothing is made worse."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.box import MOSAIC, Box, Pixels, wait_until


@pytest.fixture
def worked(box: Box, small: Pixels) -> Box:
    box.drop("in/cat.png", small)
    box.once()
    return box


def ledger(box: Box) -> Path:
    return box.folder / "var/ledger.db"


@pytest.mark.parametrize("live", [True, False])
def test_status_waits_for_no_ledger(worked: Box, live: bool) -> None:
    """The locks of SQLite's readers are held (walIndexLock in wal.c: bytes 123 to 127 of the shared memory)."""
    daemon = worked.start()
    if not live:
        daemon.process.kill()
        daemon.process.wait()
    with ledger(worked).with_name("ledger.db-shm").open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX, 5, 123)
        began = time.monotonic()
        status = json.loads(worked.darkroom("status", "--json", check=0 if live else 3).stdout)
        assert time.monotonic() - began < 9, "SQLite itself tries for ten"
        assert status["ledger_trouble"].startswith(f"{ledger(worked)}: busy, no answer within 1 s; close the program")
        assert (status["responding"], status["rules"][0]["counts"]["done"]) == (live, 0)
    if live:
        wait_until(lambda: json.loads(worked.darkroom("status", "--json").stdout)["ledger_trouble"] is None)


def test_a_log_without_its_index(worked: Box, small: Pixels) -> None:
    """As a back-up of single files brings it: whoever asks reads it, and leaves no trace."""
    worked.drop("in/dog.png", small)
    daemon = worked.start()
    wait_until(lambda: worked.states() == {"cat.png": "done", "dog.png": "done"})
    daemon.process.kill()
    daemon.process.wait()
    ledger(worked).with_name("ledger.db-shm").unlink()
    before = {path: path.read_bytes() for path in (worked.folder / "var").glob("ledger.db*")}
    assert len(before) == 2 and before[ledger(worked).with_name("ledger.db-wal")]
    jobs = json.loads(worked.darkroom("jobs", "--json").stdout)
    status = json.loads(worked.darkroom("status", "--json", check=3).stdout)
    assert [job["state"] for job in jobs] == ["done", "done"] and status["ledger_trouble"] is None
    assert "done" in worked.darkroom("why", "in/dog.png").stdout
    assert {path: path.read_bytes() for path in (worked.folder / "var").glob("ledger.db*")} == before
    worked.once()
    assert worked.files("out") == ["cat.png", "dog.png"]


def test_a_ledger_that_is_gone(worked: Box, small: Pixels) -> None:
    """Nothing is written where nobody would find it, and no empty ledger is made in its place."""
    daemon, aside = worked.start(), worked.folder / "aside"
    (worked.folder / "var").rename(aside)
    (worked.folder / "var").mkdir()
    worked.drop("in/dog.png", small)
    wait_until(lambda: daemon.said(f"{ledger(worked)}: gone; bring {worked.folder}/var back as it was"))
    assert os.listdir(worked.folder / "var") == [] and worked.files("out") == ["cat.png"]
    (worked.folder / "var").rmdir()
    aside.rename(worked.folder / "var")
    wait_until(lambda: worked.files("out") == ["cat.png", "dog.png"])
    assert daemon.stop() == 0


def test_another_ledger_in_its_place_ends_the_daemon(worked: Box, small: Pixels) -> None:
    daemon = worked.start()
    shutil.copy(ledger(worked), worked.folder / "copy.db")
    (worked.folder / "copy.db").rename(ledger(worked))
    worked.drop("in/dog.png", small)
    assert daemon.process.wait(20) == 1
    assert daemon.lines[-1] == (
        f"darkroom: {ledger(worked)}: another file was put in its place while darkroom ran; start darkroom again"
    )
    assert not daemon.said("Traceback")


def test_a_damaged_ledger(worked: Box) -> None:
    """The doctor reads all of it: one page of a table that status does not look at is enough."""
    remedy = "restore a back-up of it, or move ledger.db* aside to begin a new one (docs/operations.md)"
    whole = bytearray(ledger(worked).read_bytes())
    for page in range(4096, len(whole), 4096):
        if b"cat.png" in whole[page : page + 4096]:
            whole[page : page + 4096] = bytes(4096)
    ledger(worked).write_bytes(whole)
    said = worked.darkroom("doctor", check=1).stdout
    assert f"ledger\n  fault  {ledger(worked)}: damaged (" in said and remedy in said
    said = worked.darkroom("run", "--once", check=1).stderr
    assert said.startswith(f"darkroom: {ledger(worked)}: damaged (") and said.endswith(f"; {remedy}\n")
    ledger(worked).write_bytes(b"no ledger at all" * 1000)
    status = json.loads(worked.darkroom("status", "--json", check=3).stdout)
    assert status["ledger_trouble"].endswith(remedy)


SLOW = """
import time
from daemon import assembly
from export.store import GraphStore

assembly.GIVE_UP = 0.3
there, GraphStore.find = GraphStore.find, lambda self, chain: None

def ensure(self, chain, cancel=lambda: False):
    time.sleep(1.5)
    return there(self, chain)

GraphStore.ensure = ensure
"""


def test_once_does_not_give_up_when_a_graph_took_long(box: Box, small: Pixels) -> None:
    """It had no progress to show meanwhile, and the work begins only then."""
    box.rules(steps=MOSAIC)
    for number in range(40):
        box.drop(f"in/{number}.png", small)
    daemon = box.start("--once", ready=False, before=SLOW)
    assert daemon.process.wait(60) == 0, daemon.lines
    assert len(box.files("out")) == 40
