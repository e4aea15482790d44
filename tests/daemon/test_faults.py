"""Faults that are injected, not imagined: full disks, things in the way, files that go and come, errors in the middle.

All of it through the real command line. A `driver` is a script that replaces one function and then runs darkroom.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.box import ENVIRONMENT, PSNR, STUDY, Box, Daemon, Pixels, encoded, wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")

DRIVER = """
import sys
import daemon.{module} as place
real = place.{function}
calls = 0
def instead(*given, **named):
    global calls
    calls += 1
{body}
    return real(*given, **named)
place.{function} = instead
import daemon.assembly
daemon.life.patience.GIVE_UP = daemon.assembly.GIVE_UP = 1.0
from daemon.cli import main
sys.exit(main(sys.argv[1:]))
"""


def driver(box: Box, module: str, function: str, *body: str) -> list[str]:
    """A command like `darkroom`, in which `daemon.MODULE.FUNCTION` runs `body` first."""
    lines = "\n".join(f"    {line}" for line in body or ("pass",))
    (box.folder / "driver.py").write_text(DRIVER.format(module=module, function=function, body=lines))
    return [sys.executable, str(box.folder / "driver.py")]


def run(box: Box, command: list[str], *words: str, check: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*command, *words], cwd=box.folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == check, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@contextmanager
def started(box: Box, command: list[str]) -> Iterator[Daemon]:
    daemon = Daemon([*command, "run"], box.folder, ENVIRONMENT)
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def told(daemon: Daemon, text: str) -> list[str]:
    return [line for line in daemon.lines if text in line]


# -- full disks ------------------------------------------------------------------------------------------------------


@pytest.mark.root
@needs_root
def test_output_on_a_full_disk_waits_and_goes_on(box: Box, small: Pixels) -> None:
    with small_disk(box.folder / "out") as out:
        filler = fill(out)
        daemon = box.start()
        for number in range(10):
            box.drop(f"in/{number}.png", np.roll(small, number, axis=1))
        wait_until(lambda: daemon.said("No space left"))
        wait_until(lambda: len(box.jobs("--state", "waiting")) == 10, what="all waiting again")
        assert len(told(daemon, "No space left")) == 1, "one clear line"
        assert "free space there" in told(daemon, "No space left")[0]
        blocked = box.darkroom("status").stdout
        assert "blocked: " in blocked and "No space left" in blocked
        filler.unlink()
        wait_until(lambda: sorted(box.states().values()) == ["done"] * 10, what="all done")
        wait_until(lambda: daemon.said("mosaic: works again"))
        assert {job["attempts"] for job in box.jobs()} == {0}
        assert box.files() == [f"{number}.png" for number in range(10)], "neither receipts nor leftovers"
        daemon.stop()


@pytest.mark.root
@needs_root
def test_outputs_larger_than_the_disk_all_appear_in_the_end(box: Box, photograph: Pixels) -> None:
    """Some fit and some do not: what fits is published, the rest waits until there is room."""
    box.rules("output: out/{stem}.bmp")
    with small_disk(box.folder / "out", "2m") as out:
        daemon = box.start()
        for number in range(5):
            box.drop(f"in/{number}.png", photograph)
        wait_until(lambda: daemon.said("No space left"))
        wait_until(lambda: len([name for name in box.files() if name.endswith(".bmp")]) == 2)
        subprocess.run(["mount", "-o", "remount,size=8m", out], check=True)
        wait_until(lambda: box.files() == [f"{number}.bmp" for number in range(5)])
        assert set(box.states().values()) == {"done"}
        daemon.stop()


@pytest.mark.root
@needs_root
def test_ledger_on_a_full_disk_waits_and_goes_on(box: Box, small: Pixels) -> None:
    graphs = box.folder / "graphs"
    shutil.copytree(box.folder / "var/graphs", graphs)
    with small_disk(box.folder / "var", "8m") as var:
        (var / "graphs").symlink_to(graphs)
        daemon = box.start()
        filler = fill(var)
        for number in range(200):
            box.drop(f"in/{number}{'x' * 120}.png", small)
        wait_until(lambda: daemon.said("ledger.db"), what="the ledger's trouble told")
        assert f"the ledger cannot be used: {var}/ledger.db: " in box.darkroom("status").stdout
        assert daemon.process.poll() is None
        filler.unlink()
        wait_until(lambda: len(box.files()) == 200, what="all outputs")
        wait_until(lambda: len(box.jobs("--state", "done")) == 200)
        assert {job["attempts"] for job in box.jobs()} == {0} and box.jobs("--state", "failed") == []
        assert len(told(daemon, "ledger.db")) <= 3 and not daemon.said("Traceback")
        assert daemon.stop() == 0


@pytest.mark.root
@needs_root
def test_start_on_a_full_disk_is_refused_in_one_line(box: Box) -> None:
    with small_disk(box.folder / "var") as var:
        fill(var)
        refused = run(box, driver(box, "cli", "parser"), "run", "--once", check=1)
        assert refused.stderr.count("\n") == 1 and str(var) in refused.stderr, refused.stderr


# -- things in the way -----------------------------------------------------------------------------------------------

TWO_RULES = """version: 1
settle: 100ms
rules:
  - {name: one, watch: in/one, steps: [mosaic: {block: 16}], output: "out/one/{stem}.{ext}"}
  - {name: two, watch: in/two, steps: [mosaic: {block: 16}], output: "out/two/{stem}.{ext}"}
"""


def test_file_where_the_output_folder_must_be(box: Box, small: Pixels) -> None:
    box.write_config(TWO_RULES)
    box.drop("out/one", b"in the way")
    daemon = box.start()
    box.drop("in/one/a.png", small)
    box.drop("in/two/b.png", small)
    wait_until((box.folder / "out/two/b.png").exists, what="the other rule's output")
    wait_until(lambda: "blocked: " in box.darkroom("status").stdout)
    assert all("move it away" in line for line in told(daemon, "out/one")[-1:])
    box.drop("in/two/c.png", small)
    wait_until((box.folder / "out/two/c.png").exists)
    (box.folder / "out/one").unlink()
    wait_until((box.folder / "out/one/a.png").exists, what="the rule goes on")
    assert {job["attempts"] for job in box.jobs()} == {0} and set(box.states().values()) == {"done"}


def test_once_with_a_blocked_rule_says_what_is_left(box: Box, small: Pixels) -> None:
    box.write_config(TWO_RULES)
    box.drop("out/one", b"in the way")
    box.drop("in/one/a.png", small)
    box.drop("in/two/b.png", small)
    done = run(box, driver(box, "cli", "parser"), "run", "--once", check=1)
    assert "1 picture left waiting" in done.stdout and "move it away" in done.stdout
    assert box.files("out/two") == ["b.png"] and box.states() == {"a.png": "waiting", "b.png": "done"}


def test_folder_where_the_output_must_be(box: Box, small: Pixels) -> None:
    """Only this name cannot work: its job fails with the remedy, and the rule goes on."""
    (box.folder / "out/a.png").mkdir(parents=True)
    box.drop("in/a.png", small)
    box.drop("in/b.png", small)
    box.once(check=1)
    assert box.files() == ["a.png.error.txt", "b.png"]
    assert "move the folder there away" in box.jobs("--state", "failed")[0]["reason"]
    (box.folder / "out/a.png").rmdir()
    box.darkroom("retry", "--all-failed")
    box.once()
    assert box.files() == ["a.png", "b.png"]


def test_watched_folder_that_cannot_be_made(box: Box, small: Pixels) -> None:
    box.write_config(TWO_RULES)
    box.drop("in/one", b"a file where a folder should be watched")
    daemon = box.start()
    assert told(daemon, f"{box.folder}/in/one: cannot be made")
    box.drop("in/two/b.png", small, age=0)
    wait_until(lambda: box.files("out/two") == ["b.png"])
    (box.folder / "in/one").unlink()
    box.drop("in/one/a.png", small, age=0)
    wait_until(lambda: box.files("out/one") == ["a.png"], what="taken once the folder is there")


def test_link_to_itself_does_not_stop_its_folder(box: Box, small: Pixels) -> None:
    (box.folder / "in").mkdir()
    (box.folder / "in/0.png").symlink_to("0.png")
    os.mkfifo(box.folder / "in/fifo.png")
    box.drop("in/a.png", small)
    box.once()
    assert box.files() == ["a.png"]


# -- files that go and come ------------------------------------------------------------------------------------------


def test_source_deleted_before_it_is_read(box: Box, small: Pixels) -> None:
    box.drop("in/a.png", small)
    name = os.fsdecode(b"\xff.png")  # its name goes into the reason
    (box.folder / "in" / name).write_bytes(encoded(small, ".png"))
    run(box, driver(box, "pipeline.stages", "read_source", "import os", "os.unlink(given[0])"), "run", "--once")
    assert [(job["state"], "gone" in job["reason"]) for job in box.jobs()] == [("skipped", True)] * 2
    assert box.files() == []


def test_source_replaced_while_its_job_waits(box: Box, small: Pixels) -> None:
    body = "import os, shutil", "if calls == 1: shutil.copy('new.bmp', 'tmp'); os.replace('tmp', given[0])"
    box.drop("new.bmp", small[::-1].copy())
    box.drop("in/a.bmp", small)
    with started(box, driver(box, "pipeline.stages", "read_source", *body)) as daemon:
        wait_until(lambda: [job["state"] for job in box.jobs()] == ["done", "skipped"])
        assert "newer" in box.jobs()[1]["reason"]
        assert daemon.stop() == 0


def test_job_of_a_folder_that_is_no_longer_watched(box: Box, small: Pixels) -> None:
    """Its file has changed since, and nobody looks into that folder any more: the daemon must not stumble."""
    box.drop("out/one", b"in the way: the job is left waiting")
    box.write_config(TWO_RULES)
    box.drop("in/one/a.png", small)
    run(box, driver(box, "cli", "parser"), "run", "--once", check=1)
    (box.folder / "out/one").unlink()
    box.write_config(TWO_RULES.replace("in/one", "in/elsewhere"))
    box.drop("in/one/a.png", small[::-1].copy(), age=5)
    daemon = box.start()
    wait_until(lambda: box.states() == {"a.png": "skipped"})
    box.drop("in/elsewhere/b.png", small, age=0)
    wait_until(lambda: box.files("out/one") == ["b.png"])
    assert daemon.stop() == 0


def test_file_larger_than_any_picture_is_not_read(box: Box, small: Pixels) -> None:
    (box.folder / "in").mkdir()
    with (box.folder / "in/huge.jpg").open("wb") as file:
        file.truncate(1 << 40)  # costs nothing on disk, and would cost a terabyte of memory
    box.drop("in/fine.png", small)
    box.once(check=1)
    assert box.states() == {"huge.jpg": "failed", "fine.png": "done"}
    assert "max_pixels" in box.jobs("--state", "failed")[0]["reason"]


def test_skip_with_a_name_that_is_not_utf8(box: Box, small: Pixels) -> None:
    """The path of the output is part of the reason."""
    box.rules("on_conflict: skip")
    name = os.fsdecode(b"\xff\xfe.png")
    for folder in ("in", "out"):
        (box.folder / folder).mkdir(exist_ok=True)
        (box.folder / folder / name).write_bytes(encoded(small, ".png"))
    box.drop("in/other.png", small)
    box.once()
    assert {job["state"] for job in box.jobs()} == {"done", "skipped"} and len(box.files()) == 2


# -- errors in the middle --------------------------------------------------------------------------------------------

READ_ERROR = "from daemon.errors import reading_failed"


def test_read_error_that_passes(box: Box, small: Pixels) -> None:
    box.drop("in/a.png", small)
    body = READ_ERROR, "if calls == 1: raise reading_failed(OSError(5, 'Input/output error'))"
    done = run(box, driver(box, "pipeline.stages", "read_source", *body), "run", "--once")
    (job,) = box.jobs()
    assert (job["state"], job["attempts"]) == ("done", 1) and box.files() == ["a.png"]
    assert "try 1 of 4 failed, again in 1 s" in done.stdout
    assert "try 1 of 4" in box.darkroom("why", "in/a.png").stdout


def test_retries_come_to_an_end(box: Box, small: Pixels) -> None:
    box.rules("retries: 1")
    box.drop("in/a.png", small)
    body = READ_ERROR, "raise reading_failed(OSError(5, 'Input/output error'))"
    run(box, driver(box, "pipeline.stages", "read_source", *body), "run", "--once", check=1)
    (job,) = box.jobs()
    assert (job["state"], job["attempts"]) == ("failed", 1) and "Input/output error" in job["reason"]
    assert box.files() == ["a.png.error.txt"]


def test_error_of_the_graph_stays_with_its_picture(box: Box, small: Pixels) -> None:
    """One black picture in a batch of one shape makes the whole run fail; its neighbours are run again without it."""
    for number in range(8):
        box.drop(f"in/{number}.png", np.zeros_like(small) if number == 3 else small)
    body = "if any(not picture.any() for picture in given[2]): raise RuntimeError('the graph fell over')"
    run(box, driver(box, "runtime", "Runtime.run", body), "run", "--once", check=1)
    states = box.states()
    assert states.pop("3.png") == "failed" and set(states.values()) == {"done"} and len(states) == 7
    assert "fell over" in box.jobs("--state", "failed")[0]["reason"]
    assert [name for name in box.files() if "error" in name] == ["3.png.error.txt"]


def test_export_that_fails_and_heals(box: Box, small: Pixels) -> None:
    body = "from export.store import ExportError", "if calls == 1: raise ExportError('no compiler today')"
    command = driver(box, "graphs", "GraphStore.ensure", *body)
    text = (box.folder / "driver.py").read_text()
    (box.folder / "driver.py").write_text(
        text.replace("import sys\n", "import sys, daemon.graphs\ndaemon.graphs.RETRY = 4.0\n", 1)
    )
    real = box.folder / "var/graphs"
    for card in real.glob("*.json"):
        card.rename(card.with_suffix(".aside"))  # a graph without its card is not there
    with started(box, command) as daemon:
        box.drop("in/a.png", small)
        wait_until(lambda: daemon.said("no graph yet: no compiler today"))
        wait_until(lambda: box.jobs("--state", "waiting"))
        wait_until(lambda: "no compiler today" in box.darkroom("status").stdout)
        for card in real.glob("*.aside"):
            card.rename(card.with_suffix(".json"))
        wait_until(lambda: box.files() == ["a.png"], 90)  # a machine so busy that the next try came first compiles
        assert len(told(daemon, "no compiler")) == 1
        assert daemon.stop() == 0


def test_damaged_graph_is_built_again(box: Box, small: Pixels) -> None:
    box.rules(steps=PSNR)  # is built soonest
    for graph in (box.folder / "var/graphs").glob("*.onnx"):
        graph.write_bytes(graph.read_bytes()[:100])
    box.drop("in/a.png", small)
    box.once()
    assert box.files() == ["a.png", "a.png.json"]


@pytest.mark.parametrize("thread", ["publish", "intake", "claim"])
def test_once_ends_when_the_ledger_can_be_read_and_not_written(box: Box, small: Pixels, thread: str) -> None:
    box.drop("in/a.png", small)
    body = (
        "import threading",
        "from daemon.errors import BlockedError",
        f"if threading.current_thread().name == '{thread}':",
        "    raise BlockedError('ledger.db: disk I/O error; free space on its disk')",
    )
    done = run(box, driver(box, "ledger.database", "Database._transact", *body), "run", "--once", check=1)
    assert "gave up on the ledger" in done.stdout or "1 picture left waiting" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    box.once()
    assert box.states() == {"a.png": "done"} and box.files() == ["a.png"]


def test_reports_outlast_a_ledger_that_is_away(box: Box, photograph: Pixels) -> None:
    """Blocked while darkroom is stopping, the ledger waits no more: that must end neither the thread nor the daemon."""
    box.rules("report: study", steps=STUDY)
    body = (
        "import pathlib, threading",
        "from daemon.errors import BlockedError",
        "if threading.current_thread().name == 'reports':",
        "    pathlib.Path('asked').touch()",
        "    raise BlockedError('the disk is away')",
    )
    with started(box, driver(box, "ledger", "Ledger.counts", *body)) as daemon:
        box.drop("in/a.jpg", photograph)
        wait_until(lambda: (box.folder / "asked").exists() and box.states() == {"a.jpg": "done"})
        assert daemon.stop() == 0 and not daemon.said("internal error")
    assert "a.jpg" in (box.folder / "study/report.csv").read_text()


# -- ends ------------------------------------------------------------------------------------------------------------


def test_sigterm_in_a_backlog_ends_soon_and_nothing_is_lost(box: Box, photograph: Pixels) -> None:
    content = encoded(photograph, ".jpg")
    names = [f"{number:04}.jpg" for number in range(400)]
    for name in names:
        box.drop(f"in/{name}", content)
    daemon = box.start()
    wait_until(lambda: len(box.files()) > 20)
    begun = time.monotonic()
    assert daemon.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 3
    assert box.jobs("--state", "running") == [] and box.jobs("--state", "waiting")
    assert [name for name in box.files() if not name.endswith(".jpg")] == []
    before = {name: (box.folder / "out" / name).stat().st_mtime_ns for name in box.files()}
    box.once()
    assert box.files() == names and len(box.jobs("--state", "done")) == len(box.jobs()) == len(names)
    after = {name: (box.folder / "out" / name).stat().st_mtime_ns for name in before}
    assert before == after, "published twice"


def test_stop_does_not_wait_for_a_slow_picture(box: Box, small: Pixels) -> None:
    box.drop("in/a.png", small)
    with started(box, driver(box, "pipeline.stages", "encode_result", "import time", "time.sleep(20)")) as daemon:
        wait_until(lambda: box.jobs("--state", "running"))
        begun = time.monotonic()
        assert daemon.stop(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 5 and not daemon.said("Traceback")
    box.once()
    assert box.states() == {"a.png": "done"}


def test_picture_larger_than_the_memory_goes_through_alone(box: Box, photograph: Pixels, small: Pixels) -> None:
    box.rules(head="settle: 100ms\nruntime: {memory: 16MiB}")
    large = np.ascontiguousarray(cv2.resize(photograph, (2000, 2000)), np.uint8)
    for number in range(3):
        box.drop(f"in/large{number}.jpg", large)
    for number in range(20):
        box.drop(f"in/small{number}.jpg", small)
    box.once()
    assert len(box.files()) == 23 and set(box.states().values()) == {"done"}


def test_once_does_not_end_between_claiming_and_counting(box: Box, small: Pixels) -> None:
    """For a moment a claimed job neither waits nor is in flight; `--once` must not take that for the end."""
    box.drop("in/a.png", small)
    (box.folder / "driver.py").write_text(
        "import sys, time\nfrom daemon.ledger import Ledger\nreal = Ledger.claim\n"
        "def claim(*given):\n    jobs = real(*given)\n    time.sleep(0.3 if jobs else 0)\n    return jobs\n"
        "Ledger.claim = claim\nfrom daemon.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    run(box, [sys.executable, str(box.folder / "driver.py")], "run", "--once")
    assert box.states() == {"a.png": "done"}


COMES_AND_GOES = """
import sys, threading, time
from daemon.pipeline import stages
from daemon.pipeline import verdict
from daemon.errors import reading_failed
from daemon.ledger import Ledger
from daemon.pipeline.pipeline import Pipeline
counts, claim, read_source, tries = Ledger.counts, Pipeline._claim, stages.read_source, []
looking, running, seen = threading.Event(), threading.Event(), threading.Event()
def slow_counts(ledger):  # every look sees the job running, and is over when the job waits again
    looking.set()
    running.wait(1.0)
    running.clear()
    found = counts(ledger)
    seen.set()
    time.sleep(0.1)
    return found
def late_claim(pipeline):
    looking.wait(1.0)
    looking.clear()
    return claim(pipeline)
def failing_read(*given, **named):
    tries.append(1)
    running.set()
    seen.wait(1.0)
    seen.clear()
    if len(tries) <= 4:
        raise reading_failed(OSError(5, "Input/output error"))
    return read_source(*given, **named)
Ledger.counts, Pipeline._claim, stages.read_source, verdict.MAX_BACKOFF = slow_counts, late_claim, failing_read, 0.1
from daemon.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_once_does_not_end_while_a_job_comes_and_goes(box: Box, small: Pixels) -> None:
    """It runs in one moment and waits for its retry in the next: a look at each, one after the other, may miss both."""
    box.rules("retries: 9")
    box.drop("in/a.png", small)
    (box.folder / "driver.py").write_text(COMES_AND_GOES)
    run(box, [sys.executable, str(box.folder / "driver.py")], "run", "--once")
    assert [(job["state"], job["attempts"]) for job in box.jobs()] == [("done", 4)]
