"""Style transfer in a daemon: photographs and a fixed style, a kill in the midst, a network that is not there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.box import REPOSITORY, Box, wait_until
from tests.tasks.taskbox import TaskBox, kill, losses, rule, workers

STYLE = 'inputs: {content: "{key}.*", style: night.jpg}'
LONG = "iterations: 60, optimizer: lbfgs"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")


def style_rule(name: str, parameters: str, *more: str) -> str:
    return rule(name, f"style_transfer: {{{parameters}}}", STYLE, f"output: out/{name}/{{key}}.png", *more)


@pytest.fixture
def stylebox(tmp_path: Path) -> Iterator[TaskBox]:
    """A machine that has never seen a VGG: no folder of weights, only the package."""
    (tmp_path / "none").mkdir()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    made = TaskBox(tmp_path, tmp_path / "none", environment | {"DARKROOM_WEIGHTS": str(tmp_path / "weights")})
    with Image.open(REPOSITORY / "examples" / "night.jpg") as picture:
        picture.resize((180, 135)).save(tmp_path / "night.jpg")
    yield made
    made.close()


def drop(box: Box, folder: str, name: str, side: int) -> None:
    import skimage.data

    picture = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    picture.thumbnail((side, side))
    target = box.folder / folder / f"{name}.jpg"
    target.parent.mkdir(exist_ok=True)
    picture.save(target, quality=95)
    os.utime(target, (target.stat().st_mtime - 60,) * 2)


def test_three_photographs_and_one_style(stylebox: TaskBox) -> None:
    stylebox.configure(style_rule("style", "iterations: 5", "preview: 100ms"))
    for name in PHOTOGRAPHS:
        drop(stylebox, "style", name, 128)
    stylebox.once()
    assert stylebox.files("out") == [f"style/{name}.png" for name in PHOTOGRAPHS], "and no preview is left"
    assert "through efficientnet-lite0" in stylebox.history("style/coffee.jpg")
    for job in stylebox.jobs():
        record = job["record"]
        assert (record["network"], record["judge"]) == ("efficientnet-lite0", "vgg19-random")
        assert 0 < record["style_distance"] < 1 and 0 < record["content_distance"] < 1
        assert record["memory_peak"] > 0 < record["memory_estimate"]


def test_killed_half_way_it_gives_the_same_picture(stylebox: TaskBox) -> None:
    """In the second size, from whichever checkpoint there is: the same picture as undisturbed, bit for bit."""
    stylebox.configure(style_rule("slow", LONG), style_rule("calm", LONG))
    drop(stylebox, "slow", "coffee", 200)
    daemon = stylebox.start()
    stylebox.until_step(36)
    (worker,) = workers(daemon)
    kill(worker)
    stylebox.until("slow/coffee", "done")
    drop(stylebox, "calm", "coffee", 200)
    stylebox.until("calm/coffee", "done")
    assert daemon.said("SIGKILL; it goes on from its checkpoint at step")
    assert (stylebox.picture("out/slow/coffee.png") == stylebox.picture("out/calm/coffee.png")).all()
    slow, calm = stylebox.job("slow/coffee"), stylebox.job("calm/coffee")
    assert losses(slow) == losses(calm)
    assert slow["record"]["style_distance"] == calm["record"]["style_distance"]


def test_a_network_that_is_not_there_keeps_its_rule_waiting(stylebox: TaskBox) -> None:
    """The reason and the command are told, nothing fails; others go on."""
    stylebox.configure(style_rule("vgg", "network: vgg19"), style_rule("style", "iterations: 2"))
    drop(stylebox, "vgg", "coffee", 64)
    drop(stylebox, "style", "coffee", 64)
    daemon = stylebox.start()
    stylebox.until("style/coffee", "done")
    told = "there are no weights of vgg19 here; `darkroom weights fetch vgg19` gets them"
    wait_until(lambda: daemon.said(told), 60, "the reason")
    wait_until(lambda: stylebox.row("vgg/coffee")[1] == "waiting", 30, "the job to wait")
    wait_until(lambda: told in stylebox.darkroom("status").stdout, 30, "the reason there, but while it looks again")


def test_what_fits_nowhere_says_so_at_once(stylebox: TaskBox) -> None:
    """No try with less memory: there is no such way. It is told what is needed, and what there is."""
    stylebox.configure(style_rule("large", "size: 16000, optimizer: adam", "retries: 0"), tasks="memory: 2GiB")
    drop(stylebox, "large", "coffee", 64)
    done = stylebox.once(check=None)
    reason = stylebox.job("large/coffee")["reason"]
    assert re.search(r"16000×\d+ needs [\d,]+ MiB at least, and [\d,]+ MiB can be had; give it a smaller size", reason)
    assert "tried again" not in done.stdout + done.stderr


def test_a_result_that_would_be_too_large(stylebox: TaskBox) -> None:
    """By the size it is to have, before a worker is started."""
    stylebox.write_config(
        "version: 1\nsettle: 100ms\nruntime: {max_pixels: 1000000}\nrules:\n" + style_rule("large", "size: 3000")
    )
    drop(stylebox, "large", "coffee", 64)
    stylebox.once(check=1)
    assert stylebox.row("large/coffee")[2].startswith(
        "content (coffee.jpg): the result would be too large: 3000 × 2016 pixels are 6.0 MP, above runtime.max_pixels"
    )
    assert not list((stylebox.folder / "var" / "tasks").glob("worker-*.log"))
