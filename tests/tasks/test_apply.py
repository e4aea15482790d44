"""`darkroom apply` with a task: inputs by role, a bar or lines, no daemon; nothing is left by one that is stopped."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from kernels.chain import parse_chain
from kernels.spec import operators
from kernels.tasks import Result
from tests.box import Daemon, Pixels, wait_until
from tests.tasks.taskbox import TaskBox, gone, workers

STEPS = "hybrid: {near_weight: 0.3}"
WITHIN = 2.0
ENDLESS = "hybrid: {optimizer: gradient_descent, steps: 100000}"


@pytest.fixture
def pair(taskbox: TaskBox, photograph: Pixels, small: Pixels) -> tuple[str, ...]:
    """The words that give a near and a far picture of unequal sizes."""
    taskbox.drop("a.png", np.ascontiguousarray(photograph[100:228, 150:300]))
    taskbox.drop("b.png", small)
    return "--input", "near=a.png", "--input", "far=b.png"


def hybrid_of(box: TaskBox) -> Pixels:
    """What the task gives, called here."""
    (step,) = parse_chain([{"hybrid": {"near_weight": 0.3}}])
    inputs = {role: torch.from_numpy(box.picture(name)) for role, name in (("near", "a.png"), ("far", "b.png"))}
    steps = operators()["hybrid"].function(inputs, {}, thrift=0, **dict(step.parameters))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return np.asarray(result.picture.numpy(), np.uint8)


def test_a_pair(taskbox: TaskBox, pair: tuple[str, ...]) -> None:
    done = taskbox.darkroom("apply", STEPS, *pair, "-o", "made/h.png")
    assert done.stdout.startswith("a.png, b.png → made/h.png: ") and "near_correlation 0." in done.stdout
    off = np.abs(taskbox.picture("made/h.png").astype(int) - hybrid_of(taskbox))
    assert off.max() <= 1, "other threads may round otherwise"
    taskbox.darkroom("apply", "hybrid: {steps: 2, distances: true}", *pair, "-o", "h.png")
    assert taskbox.picture("h.png.distances.jpg").shape[0] > 128


def test_a_bar_on_a_terminal(taskbox: TaskBox, pair: tuple[str, ...]) -> None:
    ours, theirs = pty.openpty()
    words = [*taskbox.command("apply", "hybrid: {optimizer: gradient_descent, steps: 600}"), *pair, "-o", "h.png"]
    child = subprocess.Popen(words, cwd=taskbox.folder, env=taskbox.environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # the terminal closes with its last program
        while data := os.read(ours, 4096):
            seen += data
    os.close(ours)
    assert child.wait(10) == 0
    told = seen.decode()
    assert "━" in told and "waits for PyTorch" in told
    assert re.search(r"step \d+ of 600, loss [\d,.e+]+, \d+ s left", told)
    assert "→ h.png" in told


BAD = {
    "far is missing": (["--input", "near=a.png"], "hybrid needs far; add --input far=FILE"),
    "both are missing": ([], "hybrid needs near and far; add --input near=FILE"),
    "no such role": (["--input", "neer=a.png"], "near"),
    "twice": (["--input", "near=a.png", "--input", "near=b.png"], "near is given twice"),
    "no role": (["--input", "a.png"], "it is not role=path"),
    "a file without a role": (["a.png"], "write --input near=FILE --input far=FILE"),
}


@pytest.mark.parametrize("case", BAD)
def test_words_that_are_refused(taskbox: TaskBox, pair: tuple[str, ...], case: str) -> None:
    words, said = BAD[case]
    told = taskbox.darkroom("apply", STEPS, *words, "-o", "h.png", check=2).stderr
    assert told.count("\n") == 1 and said in told and not (taskbox.folder / "h.png").exists()


def test_a_source_is_not_overwritten_by_what_lies_beside_the_result(taskbox: TaskBox, pair: tuple[str, ...]) -> None:
    source = taskbox.folder / "h.png.distances.jpg"
    taskbox.drop(source.name, taskbox.picture("a.png"))
    before = source.read_bytes()
    words = ("--input", f"near={source.name}", "--input", "far=b.png", "-o", "h.png")
    told = taskbox.darkroom("apply", "hybrid: {steps: 2, distances: true}", *words, check=1).stderr
    assert "own source" in told and source.read_bytes() == before and not (taskbox.folder / "h.png").exists()


def test_pictures_that_are_refused(taskbox: TaskBox, pair: tuple[str, ...]) -> None:
    """Each in one line that names the file; the sources are let be."""
    (taskbox.folder / "bad.png").write_bytes((taskbox.folder / "a.png").read_bytes()[:200])
    for near, far, output, said in (
        ("bad.png", "b.png", "h.png", "bad.png"),
        ("a.png", "gone.png", "h.png", "gone.png cannot be read (No such file or directory)"),
        ("a.png", "b.png", "b.png", "own source"),
    ):
        before = (taskbox.folder / "b.png").read_bytes()
        words = ("apply", STEPS, "--input", f"near={near}", "--input", f"far={far}", "-o", output)
        told = taskbox.darkroom(*words, check=1).stderr
        lines = [line for line in told.splitlines() if ": waits for PyTorch" not in line]
        assert len(lines) == 1 and said in lines[0], told
        assert (taskbox.folder / "b.png").read_bytes() == before and not (taskbox.folder / "h.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_in_the_midst(taskbox: TaskBox, pair: tuple[str, ...], tmp_path: Path, number: int) -> None:
    """Gone at once, worker and temporary files too."""
    (temporary := tmp_path / "temporary").mkdir()
    words = [*taskbox.command("apply", ENDLESS), *pair, "-o", "made/h.png"]
    running = Daemon(words, taskbox.folder, taskbox.environment | {"TMPDIR": str(temporary)})
    taskbox._daemons.append(running)
    wait_until(lambda: re.search(r"h.png: step [\d,]+ of 100,000, loss ", "\n".join(running.lines)), 120, "a step")
    assert list(temporary.glob("darkroom-*"))
    (worker,) = workers(running)
    began = time.monotonic()
    assert running.stop(number) == 128 + number
    assert time.monotonic() - began < WITHIN
    gone(worker)
    assert not list(temporary.glob("darkroom-*")) and not (taskbox.folder / "made").exists()
    assert not running.said("Traceback")


def test_one_input_takes_files_like_any_step(taskbox: TaskBox, tiny: Pixels) -> None:
    """And one that fails leaves the others alone."""
    for name in ("one.png", "two.jpg"):
        taskbox.drop(name, tiny)
    (taskbox.folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    told = taskbox.darkroom(
        "apply", "wander: {steps: 3}", "one.png", "bad.png", "two.jpg", "-o", "made", check=1
    ).stderr
    assert [path for path in taskbox.files("made") if "noise" not in path] == ["one.png", "two.jpg"]
    assert "bad.png" in told and "Traceback" not in told
    assert taskbox.picture("made/two.jpg").shape == tiny.shape
