"""Workers come and go; sources change, are broken, are not wanted; `--once` waits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from tests.box import Pixels, wait_until
from tests.tasks.taskbox import CALM, TaskBox, alive, gone, kill, rule, workers


def test_a_worker_without_work_ends(taskbox: TaskBox, tiny: Pixels) -> None:
    taskbox.configure(rule("calm", "wander: {steps: 3}"), tasks="idle: 1s")
    daemon = taskbox.start()
    assert workers(daemon) == [], "none is started before there is work"
    taskbox.drop("calm/one.png", tiny)
    taskbox.until("calm/one.png", "done")
    (first,) = workers(daemon)
    taskbox.drop("calm/two.png", tiny)
    taskbox.until("calm/two.png", "done")
    began = time.monotonic()
    assert workers(daemon) == [first], "kept for the next"
    gone(first)
    assert time.monotonic() - began < 5
    taskbox.drop("calm/three.png", tiny)
    taskbox.until("calm/three.png", "done")
    (second,) = workers(daemon)
    assert second != first
    gives_way(second)
    assert daemon.stop() == 0
    gone(second)


def gives_way(worker: int) -> None:
    """To pictures on their way, and first of all when memory runs out."""
    assert os.getpriority(os.PRIO_PROCESS, worker) == os.getpriority(os.PRIO_PROCESS, 0) + 10
    session = Path(f"/proc/{worker}/autogroup")  # absent where the kernel does not schedule sessions as groups
    assert not session.exists() or session.read_text().split()[-1] == "10"
    assert int(Path(f"/proc/{worker}/oom_score_adj").read_text()) >= 600


def test_two_at_a_time(taskbox: TaskBox, tiny: Pixels) -> None:
    """Of three, two run and one waits; the crash of one worker leaves the other alone; a source that is replaced
    while its task runs is skipped, and the new content done.
    """
    endless = "wander: {steps: 200, pause: 0.5}"
    taskbox.configure(rule("slow", endless, "preview: 200ms"), tasks="checkpoint: 100ms, concurrency: 2")
    for name in ("one", "two", "three"):
        taskbox.drop(f"slow/{name}.png", tiny)
    daemon = taskbox.start()
    taskbox.until_begun(times=2)
    wait_until(lambda: [task["step"] > 0 for task in taskbox.snapshot()["tasks"]] == [True, True], 60, "two tasks")
    tasks = {task["picture"]: task for task in taskbox.status()["tasks"]}
    assert sorted(task["worker"] for task in tasks.values()) == sorted(workers(daemon))
    states = [taskbox.state(f"slow/{name}.png") for name in ("one", "two", "three")]
    assert sorted(states) == ["running", "running", "waiting"]

    (victim, other) = sorted(tasks)
    taskbox.until_saved(tasks[victim]["job"])
    kill(tasks[victim]["worker"])
    assert "SIGKILL" in taskbox.until(f"slow/{victim}", "waiting", 20)
    assert alive(tasks[other]["worker"]) and taskbox.state(f"slow/{other}") == "running"

    old = tasks[other]["job"]
    path = f"out/slow/{other.replace('.png', '.preview.jpg')}"
    wait_until((taskbox.folder / path).exists, 60, "a preview")
    taskbox.drop(f"slow/{other}", np.ascontiguousarray(tiny[::-1]))

    def replaced() -> bool:
        return any(job["id"] == old and job["state"] == "skipped" for job in taskbox.jobs())

    wait_until(replaced, 20, "the old content to be skipped")
    (skipped,) = [job for job in taskbox.jobs() if job["id"] == old]
    new = taskbox.row(f"slow/{other}")[0]
    assert new != old and skipped["reason"] == f"replaced by newer content while it ran (job {new})"
    assert not taskbox.tasks_folder(old).exists()

    taskbox.configure(rule("slow", CALM))  # there is no need to be slow any more
    assert daemon.stop() == 0
    assert taskbox.previews() == []
    taskbox.once()
    assert {taskbox.state(f"slow/{name}.png") for name in ("one", "two", "three")} == {"done"}
    flipped, straight = taskbox.picture(f"out/slow/{other}"), taskbox.picture(f"out/slow/{victim}")
    assert np.abs(flipped[::-1].astype(int) - straight).mean() < 12, "the new content's picture"
    assert np.abs(flipped.astype(int) - straight).mean() > 12


def test_pictures_for_which_no_worker_is_needed(taskbox: TaskBox, tiny: Pixels) -> None:
    """Broken, or not wanted by the rule: told at once, and PyTorch is not loaded for it."""
    taskbox.configure(rule("calm", "wander: {steps: 3}", "when: {min_width: 40, color: true}"))
    taskbox.drop("calm/broken.png", b"\x89PNG\r\n\x1a\n but no more")
    taskbox.drop("calm/small.png", np.ascontiguousarray(tiny[:16, :16]))
    taskbox.drop("calm/gray.png", np.repeat(tiny[..., :1], 3, axis=2))
    daemon = taskbox.start()
    taskbox.until("calm/broken.png", "failed")
    assert "min_width" in taskbox.until("calm/small.png", "skipped")
    taskbox.until("calm/gray.png", "skipped")
    assert workers(daemon) == [] and taskbox.diary() == []
    assert taskbox.files("out") == ["calm/broken.png.error.txt"]
    taskbox.drop("calm/broken.png", tiny)
    taskbox.until("calm/broken.png", "done")
    wait_until(lambda: taskbox.files("out") == ["calm/broken.png", "calm/broken.png.noise.jpg"], 5, "no receipt")


def test_once_waits_for_all_of_it(taskbox: TaskBox, tiny: Pixels) -> None:
    """A task that runs, and one whose next try is due later; 1 if one failed. A source goes only when all is there."""
    taskbox.configure(
        rule("again", "stumble: {how: raise, times: 2}", "source: delete"),
        rule("calm", "wander: {steps: 30, pause: 0.05}", "source: {move: {to: 'kept/{name}'}}"),
    )
    taskbox.drop("again/cat.png", tiny)
    taskbox.drop("calm/cat.png", tiny)
    taskbox.once()
    assert taskbox.job("again/cat.png")["attempts"] == 2
    assert taskbox.files("out") == ["again/cat.png", "calm/cat.png", "calm/cat.png.noise.jpg"]
    assert taskbox.files("again") == taskbox.files("calm") == [] and taskbox.files("kept") == ["cat.png"]
    taskbox.configure(rule("refused", "stumble: {how: refuse}", "source: delete"))
    taskbox.drop("refused/cat.png", tiny)
    done = taskbox.once(check=1)
    assert "refused: cat.png: failed: the picture is not to its taste; give another" in done.stdout
    assert taskbox.files("refused") == ["cat.png"], "kept: there is nothing else of it"
