"""SIGKILL at any moment: nothing lost, nothing half, nothing published twice.

`DARKROOM_KILL_ROUNDS` sets how many times the random kill is played (12 by default).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from watchdog.events import FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests.box import COMPARED, ENVIRONMENT, Box, Pixels, encoded, read, wait_until

ROUNDS = int(os.environ.get("DARKROOM_KILL_ROUNDS", "12"))
PICTURES = 300


class Publications(FileSystemEventHandler):
    """Counts every rename of a temporary file into place, seen from outside by inotify."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()

    def on_moved(self, event: FileSystemEvent) -> None:
        if Path(str(event.src_path)).name.startswith(".darkroom-"):
            self.names[Path(str(event.dest_path)).name] += 1


@contextmanager
def watching(folder: Path) -> Iterator[Publications]:
    folder.mkdir(parents=True, exist_ok=True)
    seen, observer = Publications(), Observer()
    observer.schedule(seen, str(folder), event_filter=[FileMovedEvent])
    observer.start()
    try:
        yield seen
        last = folder / "last"  # events come in their order: behind this one there are none
        (folder / ".darkroom-last").touch()
        (folder / ".darkroom-last").rename(last)
        wait_until(lambda: seen.names.pop(last.name, 0), what="the last event")
        last.unlink()
    finally:
        observer.stop()
        observer.join()


@pytest.fixture(scope="module")
def backlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 JPEGs cut from a photograph, no two alike."""
    from skimage import data

    folder, photo = tmp_path_factory.mktemp("backlog"), np.asarray(data.astronaut(), np.uint8)
    for index in range(PICTURES):
        top, left = divmod(index * 7, 256)
        crop = np.ascontiguousarray(photo[top : top + 200, left : left + 240])
        (folder / f"{index:03}.jpg").write_bytes(encoded(crop, ".jpg"))
    return folder


def fill(box: Box, backlog: Path) -> None:
    inbox = box.folder / "in"
    inbox.mkdir(exist_ok=True)
    for path in backlog.iterdir():
        os.link(path, inbox / path.name)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_random_kill(box: Box, backlog: Path, round_: int) -> None:
    chance = random.Random(round_)
    fill(box, backlog)
    with watching(box.folder / "out") as published:
        for _ in range(chance.choice([1, 1, 2])):
            daemon = box.start()
            time.sleep(chance.uniform(0, 0.6))  # a random moment of the work is the point
            daemon.stop(signal.SIGKILL)
        box.once()
    names = sorted(path.name for path in backlog.iterdir())
    assert box.files() == names
    assert [job["state"] for job in box.jobs()] == ["done"] * PICTURES
    for name in names:
        assert read(box.folder / "out" / name).shape == (200, 240, 3)
    assert published.names == Counter(names), "published other than once"


CRASH = """
import os, sys
import daemon.{module} as place
real = place.{function}
calls = 0
def crash(*given, **named):
    global calls
    calls += 1
    if calls == {call} and {before}:
        os._exit(9)
    result = real(*given, **named)
    if calls == {call}:
        os._exit(9)
    return result
place.{function} = crash
from daemon.cli import main
sys.exit(main(["run", "--once"]))
"""

POINTS = [
    ("pipeline.stages", "write_temporary"),
    ("publishing.publish", "sync_file"),
    ("publishing.publish", "Ledger.intend"),
    ("publishing.publish", "put_in_place"),
    ("publishing.publish", "sync_folders"),
    ("publishing.publish", "Ledger.complete"),
    ("publishing.publish", "Sources.dispose"),
    ("publishing.sources", "Path.unlink"),
]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("module", "function"), POINTS, ids=[name for _, name in POINTS])
def test_kill_at_every_step_of_publishing(box: Box, small: Pixels, module: str, function: str, before: bool) -> None:
    """Two files a job: the picture and its measurements. Pictures alone are killed at random above."""
    box.rules("source: delete", steps=COMPARED)
    for index in range(6):
        box.drop(f"in/{index}.png", np.roll(small, index, axis=1))
    names = [f"{index}.png" for index in range(6)]
    written = sorted([*names, *(f"{name}.json" for name in names)])
    with watching(box.folder / "out") as published:
        for call in (1, 3):
            script = CRASH.format(module=module, function=function, call=call, before=before)
            crash = [sys.executable, "-c", script]
            subprocess.run(crash, cwd=box.folder, env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
            assert_no_source_without_output(box, names)
        box.once()
    assert box.files() == written and box.files("in") == []
    assert published.names == Counter(written)
    assert all("psnr" in job for job in box.jobs("--state", "done"))
    assert cv2.imread(str(box.folder / "out/5.png")) is not None


def assert_no_source_without_output(box: Box, names: list[str]) -> None:
    inbox, outbox = set(box.files("in")), set(box.files("out"))
    assert all(name in inbox or name in outbox for name in names)


def test_an_output_folder_that_is_gone_after_the_kill(box: Box, small: Pixels) -> None:
    """A rename is believed only when the file is seen: the disk may not be mounted again yet."""
    box.rules("source: delete")
    box.drop("in/cat.png", small)
    script = CRASH.format(module="publishing.publish", function="put_in_place", call=1, before=True)
    subprocess.run([sys.executable, "-c", script], cwd=box.folder, env=ENVIRONMENT, capture_output=True, check=False)
    (box.folder / "out").rename(box.folder / "away")
    box.once()
    assert box.files() == ["cat.png"] and box.files("in") == []


def test_a_file_that_was_away_for_a_moment(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    script = CRASH.format(module="pipeline.stages", function="read_source", call=1, before=True)
    subprocess.run([sys.executable, "-c", script], cwd=box.folder, env=ENVIRONMENT, capture_output=True, check=False)
    (box.folder / "in").rename(box.folder / "away")
    box.once()
    assert box.states() == {"cat.png": "skipped"}
    shutil.rmtree(box.folder / "in")
    (box.folder / "away").rename(box.folder / "in")
    box.once()
    assert box.files() == ["cat.png"]
