"""What a file is called must not act on a terminal, nor speak in the journal: people see escapes, programs the name."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.box import Box, Pixels

ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""All that must not come through; a newline ends each line."""
NAMES = {
    "clear\x1b]0;PWN\x07\x1b[2J.png": r"clear\x1b]0;PWN\x07\x1b[2J.png",
    "nl\n<3>mosaic: forged.png: failed: x.png": r"nl\n<3>mosaic: forged.png: failed: x.png",
    "\rover.png": r"\rover.png",
    "c1\x9b2J.png": r"c1\x9b2J.png",
    "turned\u202egnp.png": r"turned\u202egnp.png",
    "line\u2028line.png": r"line\u2028line.png",
    os.fsdecode(b"\xff.png"): r"\udcff.png",
    "it's \\ ünï 猫.png": "it's \\ ünï 猫.png",
}
"""Names, and what people see of them."""


@pytest.fixture
def named(box: Box, small: Pixels) -> Box:
    """A file of each name: a picture where the name ends so, and a broken one with `bad` before it."""
    for name in NAMES:
        box.drop(f"in/{name}", small)
        box.drop(f"in/bad{name}", b"broken")
    return box


def lines_of(text: str) -> list[str]:
    assert not ACTS.search(text), text
    assert text.endswith("\n")
    return text[:-1].split("\n")


def test_the_journal_and_the_commands(named: Box) -> None:
    plan = lines_of(named.darkroom("run", "--dry-run").stdout)
    assert len(plan) == 2 * len(NAMES) + 1

    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    environment = named.environment | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    command = named.command("run", "--once")
    child = subprocess.Popen(command, cwd=named.folder, env=environment, stdout=theirs.fileno())
    theirs.close()
    with ours, ours.makefile("r", newline="\n") as said:
        journal = lines_of(said.read())
    assert child.wait(60) == 1
    jobs = lines_of(named.darkroom("jobs").stdout)
    assert len(jobs) == 2 * len(NAMES)
    for seen in NAMES.values():
        assert sum(f"mosaic: bad{seen}: failed: " in line and line.startswith("<3>") for line in journal) == 1
        assert sum(line.startswith(f"<6>mosaic: {seen} → ") for line in journal) == 1
        assert sum(f" mosaic: {seen}: " in line for line in jobs) == 1
        assert sum(line.startswith(f"mosaic: {seen} → ") for line in plan) == 1
    assert sum(line.startswith("<3>") for line in journal) == len(NAMES)

    told = json.loads(named.darkroom("jobs", "--json").stdout)
    assert {Path(job["source"]).name for job in told} == set(NAMES) | {f"bad{name}" for name in NAMES}
    for name, seen in NAMES.items():
        (head, *_) = lines_of(named.darkroom("why", f"in/{name}").stdout)
        assert head == f"{named.folder}/in/{seen}: job " + head.rpartition(": job ")[2]
    explained = lines_of(named.darkroom("check", "--explain", *(f"in/{name}" for name in NAMES)).stdout)
    assert [line for line in explained if not line.startswith(" ")] == [
        f"{named.folder}/in/{seen}: {(named.folder / 'in' / name).stat().st_size:,} bytes"
        for name, seen in NAMES.items()
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_in_every_locale(box: Box, small: Pixels, encoding: str) -> None:
    box.drop("in/é 猫\x9b2J.png", small)
    box.environment |= {"PYTHONIOENCODING": encoding}
    said = box.darkroom("run", "--dry-run", "--json").stdout
    (picture,) = json.loads(said)["pictures"]
    assert picture["source"].endswith("/in/é 猫\x9b2J.png") and not ACTS.search(said)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_note_of_a_failure(named: Box) -> None:
    """Its last line can be copied into a shell, whatever the file is called."""
    named.once(check=1)
    for name, seen in NAMES.items():
        path = f"{named.folder}/in/bad{name}"
        lines = lines_of((named.folder / f"out/bad{name}.error.txt").read_text())
        assert lines[0] == f"darkroom could not process {named.folder}/in/bad{seen}"
        (words,) = re.findall(r"`darkroom why -c \S+ (.*)`$", lines[-1])
        done = subprocess.run(["bash", "-c", f"printf %s {words}"], capture_output=True, check=True)
        assert done.stdout == os.fsencode(path)


def test_a_terminal(named: Box) -> None:
    """The bar has escapes of its own; those of the names stay out."""
    ours, theirs = pty.openpty()
    environment = named.environment | {"TERM": "xterm", "COLUMNS": "300"}
    command = named.command("run", "--once")
    child = subprocess.Popen(command, cwd=named.folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = bytearray()
    while data := _read(ours):
        said += data
    assert child.wait(60) == 1
    text = said.decode()
    for name, seen in NAMES.items():
        assert f"mosaic: bad{seen}: failed: " in text and f"bad{name}" not in text.replace(f"bad{seen}", "")
    os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # its other end is closed
        return b""


def test_apply(named: Box) -> None:
    done = named.darkroom("apply", "mosaic: {block: 16}", *(f"in/{name}" for name in NAMES), "-o", "made")
    assert lines_of(done.stdout) == [f"in/{seen} → made/{seen}" for seen in NAMES.values()]
    done = named.darkroom("apply", "mosaic: {block: 16}", *(f"in/bad{name}" for name in NAMES), "-o", "made", check=1)
    assert [line.partition(": this is")[0] for line in lines_of(done.stderr)] == [f"in/bad{s}" for s in NAMES.values()]


def test_a_word_that_is_none(box: Box) -> None:
    assert len(lines_of(box.darkroom("why", "a", "b\x1b[2J\n", check=2).stderr)) == 1
