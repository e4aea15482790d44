"""Deep image prior in a daemon: four watched folders, masks and transparency, a kill in the midst, early refusals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.box import ENVIRONMENT, Box, Pixels, wait_until
from tests.tasks.taskbox import TaskBox, kill, losses, rule, workers

MASKED = 'inputs: {picture: "{key}.*", mask: "{key}.mask.*"}'


def prior(name: str, parameters: str, *more: str, output: str = "{stem}.png") -> str:
    steps = f"deep_image_prior: {{{parameters}}}"
    return rule(name, steps, f'output: "out/{name}/{output}"', *more)


@pytest.fixture
def priorbox(tmp_path: Path) -> Iterator[TaskBox]:
    """A box on one core, as threads of tiny pictures that wait for each other beside other tests take too long."""
    cores = os.sched_getaffinity(0)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.sched_setaffinity(0, {sorted(cores)[number % len(cores)]})
    (tmp_path / "none").mkdir()
    made = TaskBox(tmp_path, tmp_path / "none", ENVIRONMENT)
    try:
        yield made
    finally:
        os.sched_setaffinity(0, cores)
        made.close()


@pytest.fixture
def picture(photograph: Pixels) -> Pixels:
    """48×64 of a photograph."""
    return np.ascontiguousarray(cv2.resize(photograph[:384], (64, 48), interpolation=cv2.INTER_AREA), np.uint8)


def drop_transparent(box: Box, name: str, picture: Pixels, alpha: Pixels) -> None:
    path = box.folder / name
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.dstack((picture[:, :, ::-1], alpha)))
    os.utime(path, (path.stat().st_mtime - 60,) * 2)


def square_hole(picture: Pixels) -> Pixels:
    """A mask of one channel: black where there is a hole."""
    mask = np.full(picture.shape[:2], 255, np.uint8)
    mask[10:20, 30:44] = 0
    return mask


def test_four_folders(priorbox: TaskBox, picture: Pixels) -> None:
    """Every job, unattended; a mask as a file beside its picture, and as the transparent part of it.

    Conditions are not about the mask, which is grey; one that is drawn on a transparent layer is as one on white.
    """
    priorbox.configure(
        prior("noise", "iterations: 3, compare: true", "preview: 100ms", "trace: true"),
        prior("jpeg", "job: jpeg, iterations: 3"),
        prior("small", "job: super_resolution, factor: 3, iterations: 3"),
        prior("holes", "job: inpaint, iterations: 3", MASKED, output="{key}.png"),
        prior("clear", "job: inpaint, iterations: 3"),
        prior("drawn", "job: inpaint, iterations: 2", MASKED, "when: {color: true}", output="{key}.png"),
    )
    mask = square_hole(picture)
    for name in ("noise/a.png", "jpeg/a.jpg", "small/a.png", "holes/a.png", "drawn/a.png"):
        priorbox.drop(name, picture)
    drawn = np.where(mask > 0, 0, 255).astype(np.uint8)
    drop_transparent(priorbox, "drawn/a.mask.png", np.zeros_like(picture), drawn)
    priorbox.drop("holes/a.mask.png", np.dstack((mask,) * 3))
    drop_transparent(priorbox, "small/b.png", picture, mask)
    drop_transparent(priorbox, "clear/a.png", picture, mask)
    priorbox.once()
    assert priorbox.files("out") == [
        "clear/a.png", "drawn/a.png", "holes/a.png", "jpeg/a.png", "noise/a.png", "noise/a.png.compare.jpg",
        "noise/a.png.trace.json", "noise/a.png.trace.svg", "small/a.png", "small/b.png",
    ]  # fmt: skip
    for name in ("holes", "clear", "drawn"):
        made = cv2.imread(str(priorbox.folder / f"out/{name}/a.png"), cv2.IMREAD_UNCHANGED)
        assert made is not None and made.shape == (48, 64, 3), "what is filled in is not transparent any more"
        assert (made[:, :, ::-1][mask > 0] == picture[mask > 0]).all()
        assert (made[:, :, ::-1][mask == 0] != picture[mask == 0]).any()
    alpha = cv2.imread(str(priorbox.folder / "out/small/b.png"), cv2.IMREAD_UNCHANGED)
    assert alpha is not None and alpha.shape == (144, 192, 4) and alpha[:, :, 3].min() == 0, "elsewhere it stays"
    assert priorbox.picture("out/noise/a.png.compare.jpg").shape == (48, 128, 3)
    assert "made all of 3, the error of held-out pixels was least at" in priorbox.history("noise/a.png")
    record = priorbox.job("noise/a.png")["record"]
    assert record["memory_estimate"] > 0 < record["memory_peak"] and record["steps"] == 3


def test_killed_in_the_midst_it_gives_the_same_picture(priorbox: TaskBox, picture: Pixels) -> None:
    """From a checkpoint on it is the run that was never disturbed, bit for bit: jitter, averages, moments, the stop."""
    long = "job: jpeg, preset: paper, iterations: 140, seed: 7"
    priorbox.configure(prior("slow", long), prior("calm", long))
    priorbox.drop("slow/a.png", picture)
    daemon = priorbox.start()
    priorbox.until("slow/a.png", "running")
    priorbox.until_saved(priorbox.row("slow/a.png")[0])
    # The file is there a moment before the daemon is told of it, and it is told of a later step after that.
    wait_until(
        lambda: any(task["step"] > 2 for task in priorbox.snapshot()["tasks"]), 60, "a step after the checkpoint"
    )
    (worker,) = workers(daemon)
    kill(worker)
    priorbox.until("slow/a.png", "done")
    priorbox.drop("calm/a.png", picture)
    priorbox.until("calm/a.png", "done")
    assert daemon.said("SIGKILL; it goes on from its checkpoint at step")
    assert (priorbox.picture("out/slow/a.png") == priorbox.picture("out/calm/a.png")).all()
    slow, calm = priorbox.job("slow/a.png"), priorbox.job("calm/a.png")
    assert losses(slow) == losses(calm) and slow["record"]["taken_at"] == calm["record"]["taken_at"]


def test_refused_before_a_minute_is_spent(priorbox: TaskBox, picture: Pixels) -> None:
    """By the daemon, which starts no worker for it: too many pixels, a format that cannot hold the result."""
    priorbox.write_config(
        "version: 1\nsettle: 100ms\nruntime: {max_pixels: 100000}\nrules:\n"
        + prior("large", "job: super_resolution, factor: 8")
        + prior("clear", "iterations: 5", output="{stem}.jpg")
    )
    priorbox.drop("large/a.png", picture)
    drop_transparent(priorbox, "clear/a.png", picture, square_hole(picture))
    assert priorbox.once(check=1)
    assert priorbox.row("large/a.png")[2].startswith(
        "the result would be too large: 512 × 384 pixels are 0.2 MP, above runtime.max_pixels (0.1 MP)"
    )
    assert "JPEG cannot hold this picture's transparency" in priorbox.row("clear/a.png")[2]
    assert not list((priorbox.folder / "var" / "tasks").glob("worker-*.log"))
    assert priorbox.files("out") == ["clear/a.png.error.txt", "large/a.png.error.txt"]


def test_refused_by_the_task(priorbox: TaskBox, picture: Pixels) -> None:
    """Its reason stands in the note, and it is not tried again."""
    priorbox.configure(
        prior("holes", "job: inpaint", MASKED, output="{key}.png"),
        prior("clear", "job: inpaint"),
    )
    priorbox.drop("holes/a.png", picture)
    priorbox.drop("holes/a.mask.png", np.ascontiguousarray(picture[:40]))
    priorbox.drop("clear/a.png", picture)
    drop_transparent(priorbox, "clear/b.png", picture, np.full(picture.shape[:2], 255, np.uint8))
    priorbox.once(check=1)
    note = (priorbox.folder / "out/clear/b.png.error.txt").read_text()
    assert "there is nothing to fill in: the picture has no transparent part" in note, "all of its alpha is opaque"
    assert [job["attempts"] for job in priorbox.jobs()] == [0, 0, 0], "none is tried again"
    assert "the mask has 64×40 pixels, the picture 64×48; make them alike" in priorbox.row("holes/a")[2]
    assert "there is nothing to fill in: the picture has no transparent part" in priorbox.row("clear/a.png")[2]


def test_a_rule_that_wants_a_mask_now(priorbox: TaskBox, picture: Pixels) -> None:
    """A job of a picture alone, made before, is none of it."""
    priorbox.configure(prior("holes", "job: inpaint, iterations: 2"), rule("other", "mosaic"))
    drop_transparent(priorbox, "holes/a.png", picture, square_hole(picture))
    dies = "import os; from daemon.tasks.trying import Try; Try.run = lambda self: os._exit(1)"
    daemon = priorbox.start("--once", ready=False, before=dies)
    daemon.process.wait(60)
    assert priorbox.states() != {}
    priorbox.configure(prior("holes", "job: inpaint, iterations: 2", MASKED, output="{key}.png"))
    priorbox.once(check=None)
    assert priorbox.states() == {"a.png": "skipped", "a": "waiting"} and priorbox.files("out") == []
    assert "waits for mask: a file like a.mask.*" in priorbox.row("holes/a")[2]


def test_apply(priorbox: TaskBox, picture: Pixels) -> None:
    """Without a daemon: one mask for many pictures, and a role that does not go with the job."""
    for name in ("a.png", "b.png"):
        priorbox.drop(name, picture)
    priorbox.drop("m.png", np.dstack((square_hole(picture),) * 3))
    steps = "deep_image_prior: {job: inpaint, iterations: 3}"
    priorbox.darkroom("apply", steps, "a.png", "b.png", "--input", "mask=m.png", "-o", "out/")
    assert priorbox.files("out") == ["a.png", "b.png"]
    done = priorbox.darkroom("apply", "deep_image_prior", "a.png", "--input", "mask=m.png", "-o", "c.png", check=2)
    assert "--input mask=m.png: mask goes with job: inpaint; write that, or leave it out" in done.stderr
    told = priorbox.darkroom("operators", "deep_image_prior").stdout
    assert "inputs: picture, mask with job: inpaint" in told
