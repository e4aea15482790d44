"""SIGKILL of the worker and of the daemon: every job is done, and nobody could tell from the result.

`DARKROOM_TASK_KILLS` sets how often the worker is killed (20 by default).
"""

from __future__ import annotations

import os
import random
import signal
import time

from tests.box import Daemon, Pixels, wait_until
from tests.tasks.same import assert_same
from tests.tasks.taskbox import CALM, SLOW, TaskBox, gone, kill, rule, workers

KILLS = int(os.environ.get("DARKROOM_TASK_KILLS", "20"))
LONG, SHORT = "wander: {steps: 400, pause: 0.02}", "wander: {steps: 400}"


def kill_after_progress(box: TaskBox, daemon: Daemon, job: int, chance: random.Random) -> None:
    """Kill the worker a random moment after it has begun and saved something new."""
    begun = len(box.begins())
    checkpoint = box.checkpoint(job)
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    wait_until(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns != before, 120, "a checkpoint")
    time.sleep(chance.uniform(0, 0.1))  # a random moment of the work is the point
    (worker,) = workers(daemon)
    kill(worker)
    wait_until(lambda: len(box.begins()) > begun, 120, "the next try")


def test_twenty_kills_of_the_worker(taskbox: TaskBox, tiny: Pixels) -> None:
    taskbox.configure(rule("slow", LONG), rule("calm", SHORT))
    taskbox.drop("slow/cat.png", tiny)
    daemon, chance = taskbox.start(), random.Random(4)
    taskbox.until_begun()
    job = taskbox.row("slow/cat.png")[0]
    for _ in range(KILLS):
        kill_after_progress(taskbox, daemon, job, chance)
    taskbox.until("slow/cat.png", "done")
    begins = taskbox.begins()
    assert len(begins) == KILLS + 1 and begins == sorted(begins) and begins[0] == 0 < begins[1]
    done = taskbox.job("slow/cat.png")
    assert done["attempts"] == 0 and done["record"]["steps"] == 400
    assert daemon.said("SIGKILL; it goes on from its checkpoint at step")
    taskbox.drop("calm/cat.png", tiny)
    taskbox.until("calm/cat.png", "done")
    assert_same(taskbox, "slow/cat.png", "calm/cat.png")
    assert taskbox.files("var/tasks") == ["worker-0.log"], "nothing is kept of a job that is done"


def test_kill_of_the_daemon(taskbox: TaskBox, tiny: Pixels) -> None:
    """Its worker ends by itself; the next daemon clears the preview and goes on from the checkpoint."""
    taskbox.configure(rule("slow", SLOW, "preview: 200ms"), rule("calm", CALM))
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(taskbox.previews, 120, "a preview")
    job = taskbox.row("slow/cat.png")[0]
    taskbox.until_saved(job)
    (worker,) = workers(daemon)
    daemon.stop(signal.SIGKILL)
    gone(worker)
    assert taskbox.previews() == ["slow/cat.preview.jpg"], "nobody was left to remove it"
    taskbox.configure(rule("slow", SLOW), rule("calm", CALM))
    taskbox.drop("calm/cat.png", tiny)
    daemon = taskbox.start()
    assert taskbox.previews() == []
    taskbox.until_begun(times=2)
    assert taskbox.begins()[1] > 0
    taskbox.until("slow/cat.png", "done")
    taskbox.until("calm/cat.png", "done")
    assert taskbox.row("slow/cat.png")[0] == job and taskbox.job("slow/cat.png")["attempts"] == 0
    assert_same(taskbox, "slow/cat.png", "calm/cat.png")
    assert daemon.stop() == 0


def test_kill_of_a_worker_that_loads_or_rests(taskbox: TaskBox, tiny: Pixels) -> None:
    """One that has not begun, and one without work: the next is started, and no try is counted."""
    taskbox.configure(rule("calm", "wander: {steps: 3}"))
    taskbox.drop("calm/cat.png", tiny)
    daemon = taskbox.start()
    (worker,) = wait_until(lambda: workers(daemon), 60, "a worker")
    kill(worker)
    assert "SIGKILL" in taskbox.until("calm/cat.png", "waiting")
    taskbox.until("calm/cat.png", "done")
    (worker,) = workers(daemon)
    kill(worker)
    taskbox.drop("calm/dog.png", tiny)
    taskbox.until("calm/dog.png", "done")
    assert [job["attempts"] for job in taskbox.jobs()] == [0, 0]
    assert workers(daemon) != [worker] and daemon.stop() == 0
