"""A hundred edits, thirty with faults, while a backlog is worked off: nothing is lost, nothing is done twice."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing

import cv2
import numpy as np

from tests.box import COMPARED, MOSAIC, Box, Daemon, Pixels, slow_encoding, wait_until
from tests.reload.test_reload import configure, rule

PICTURES = 1500
EDITS, FAULTS = 100, 30
SLOW = slow_encoding(0.03)
"""Half a minute of work with two threads."""
MISSPELT = f"version: 1\nrules:\n{rule().replace('steps', 'stepps')}"
WRONG = ("version: 1\nrules: [{", "version: 2\nrules: []\n", MISSPELT, "")


def edits(chance: random.Random) -> list[tuple[str, ...] | str]:
    """Rules, or the text of a file with faults. The main rule gets another name, or other keys: both at once would make
    it another rule, with everything to do. A second rule comes and goes, at times in the same edit.
    """
    name, steps, more, found = "mosaic", MOSAIC, "retries: 3", list[tuple[str, ...] | str]()
    while len(found) < EDITS - FAULTS:
        if chance.random() < 0.3:
            name = chance.choice(["mosaic", "pixels", "blocks"])
        else:
            steps = chance.choice([MOSAIC, COMPARED])
            more = chance.choice(["retries: 3", "encode: {jpeg_quality: 80}", "when: {min_width: 1}"])
        main = rule(name, "in", steps, more, "output: out/{name}")
        other = rule("other", "elsewhere", MOSAIC, "output: out/other/{name}")
        found.append(chance.choice([(main,), (main, other), (other, main)]))
    for _ in range(FAULTS):
        found.insert(chance.randrange(len(found)), chance.choice(WRONG))
    return found


def done_by_picture(box: Box) -> Counter[str]:
    """How often each picture of the main rule was done, whatever that was called."""
    with closing(sqlite3.connect(f"file:{box.folder}/var/ledger.db?mode=ro", uri=True)) as ledger:
        rows = ledger.execute(
            "SELECT relative FROM jobs JOIN history ON job = id WHERE history.state = 'done' AND root LIKE '%/in'"
        )
        return Counter(name for (name,) in rows)


def in_force(daemon: Daemon, number: int) -> None:
    """Wait for an edit that is told from the others by the time it gives files to settle."""
    wait_until(lambda: daemon.said(f" → {0.1 + number / 1000:g} s"), 20, f"edit {number}")


def read(box: Box, before: int) -> None:
    """Wait for an edit with faults to be read: the note beside the file is then written anew, whatever it said."""
    wait_until(lambda: note(box) not in (0, before), 20, "the faults to be told")


def note(box: Box) -> int:
    """What tells one note of faults from the next; 0 where there is none."""
    try:
        return (box.folder / "config.error.txt").stat().st_ino
    except FileNotFoundError:
        return 0


def test_edits_during_a_backlog(box: Box, small: Pixels) -> None:
    tiny = np.asarray(cv2.resize(small, (24, 16)), np.uint8)
    names = [f"{number:04}.png" for number in range(PICTURES)]
    for number, name in enumerate(names):
        picture = np.roll(tiny, number % 24, axis=1).copy()
        picture[0, 0] = number % 256, number // 256, 0  # no two have the same content
        box.drop(f"in/{name}", picture)
    configure(box, rule("mosaic", "in", MOSAIC, "output: out/{name}"))
    daemon = box.start(before=SLOW)
    during = faults = 0
    for number, edit in enumerate(edits(random.Random(7)), 1):
        if isinstance(edit, str):
            before, faults = note(box), faults + 1
            (box.folder / "config.yaml").write_text(edit)
            read(box, before)
        else:
            configure(box, *edit, head=f"settle: {100 + number}ms")
            in_force(daemon, number)
            assert note(box) == 0
        during += len(done_by_picture(box)) < len(names)
        names.append(f"late-{number}.png")
        box.drop(f"in/{names[-1]}", tiny, age=0)
    wait_until(lambda: len(done_by_picture(box)) == len(names), 120, "every picture to be done")
    assert daemon.stop() == 0
    assert box.once().returncode == 0, "nothing was left, nothing is found"
    done = done_by_picture(box)
    assert set(done) == set(names) and set(done.values()) == {1}
    assert {name for name in box.files() if name.endswith(".png")} == set(names)
    assert sum("is now called" in line for line in daemon.lines) > 5
    assert faults == FAULTS
    assert during > EDITS / 2, "the backlog was there for most of the edits"
