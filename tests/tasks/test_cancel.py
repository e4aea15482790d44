"""`darkroom cancel`: a running task stops within two seconds, keeps its checkpoint, and `retry` goes on from there."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from contextlib import closing

from tests.box import Box, Pixels, wait_until
from tests.daemon.test_faults import driver, started
from tests.tasks.same import assert_same
from tests.tasks.taskbox import CALM, SLOW, TaskBox, gone, kill, rule, workers

WITHIN = 4.0
"""Seconds from the command's start to the new state: two on a quiet machine, and no test is to fail on another."""
LONG_STEP = "wander: {steps: 20, pause: 30, slow: 5, pace: 0.2}"
SHORT_STEP = "wander: {steps: 20}"
HINT = "; `darkroom retry {job}` goes on from there"


def cancelled_within(box: TaskBox, job: int, name: str) -> float:
    """Cancel a job; the seconds from the command's start to the job's state."""
    began = time.time()
    done = box.darkroom("cancel", str(job))
    assert "1 job cancelled" in done.stdout
    assert box.state(name) == "cancelled"
    return box.updated(job) - began


def test_a_running_task(taskbox: TaskBox, tiny: Pixels) -> None:
    taskbox.configure(rule("slow", SLOW, "preview: 100ms"), rule("calm", CALM))
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(taskbox.previews, 120, "a preview")
    taskbox.until_step(5)
    job = taskbox.row("slow/cat.png")[0]
    assert cancelled_within(taskbox, job, "slow/cat.png") < WITHIN
    reason = taskbox.job("slow/cat.png")["reason"]
    assert reason.startswith("asked for by the user: cancelled at step "), reason
    assert reason.endswith(f" of 200{HINT.format(job=job)}"), reason
    wait_until(lambda: taskbox.files("out") == [], 5, "nothing to be left, the preview neither")
    assert taskbox.checkpoint(job).exists()
    wait_until(lambda: taskbox.snapshot()["tasks"] == [], 5, "no task to be told of")

    taskbox.drop("calm/cat.png", tiny)  # on the very worker that was stopped
    taskbox.until("calm/cat.png", "done")
    assert len(workers(daemon)) == 1

    assert daemon.stop() == 0
    daemon = taskbox.start()
    assert taskbox.checkpoint(job).exists(), "a cancelled job keeps it over a restart"
    taskbox.darkroom("retry", str(job))
    taskbox.until("slow/cat.png", "done")
    stopped_at = int(reason.split(" at step ")[1].split()[0])
    assert taskbox.begins() == [0, 0, stopped_at]
    assert_same(taskbox, "slow/cat.png", "calm/cat.png")


def test_tasks_of_rules_that_were_renamed_or_removed(taskbox: TaskBox, tiny: Pixels) -> None:
    """They go on, are told of, under the name that their rule has now, and can be cancelled."""
    taskbox.configure(rule("slow", SLOW), rule("gone", SLOW), tasks="concurrency: 2")
    for name in ("slow", "gone"):
        taskbox.drop(f"{name}/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(lambda: sum(task["step"] > 0 for task in taskbox.snapshot().get("tasks", [])) == 2, 120, "both at work")
    renamed = rule("slow", SLOW, "output: out/slow/{stem}.{ext}").replace("name: slow", "name: renamed")
    taskbox.configure(renamed, tasks="concurrency: 2")
    wait_until(lambda: daemon.said("rule gone removed") and daemon.said("rule slow is now called renamed"), 20)
    told = taskbox.darkroom("status").stdout
    assert "still at work by the rule gone, which is gone: job " in told and "slow" not in told, told
    jobs = {task["rule"]: task["job"] for task in taskbox.snapshot()["tasks"]}
    assert jobs.keys() == {"renamed", "gone"}
    taskbox.darkroom("cancel", *map(str, jobs.values()))
    assert {taskbox.state("renamed/cat.png"), taskbox.state("gone/cat.png")} == {"cancelled"}
    daemon.stop()


def test_a_step_that_takes_long(taskbox: TaskBox, tiny: Pixels) -> None:
    """The worker is ended by force, and the checkpoint before the step stands, also one of an earlier try."""
    taskbox.configure(rule("slow", LONG_STEP), rule("calm", SHORT_STEP), tasks="checkpoint: 100ms")
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    taskbox.until_paused()
    job = taskbox.row("slow/cat.png")[0]
    assert taskbox.checkpoint(job).exists()
    assert daemon.stop() == 0
    reason = taskbox.row("slow/cat.png")[2]
    assert re.fullmatch(r"handed back: darkroom was stopped, at step [1-4] of 20", reason), reason
    daemon = taskbox.start()
    taskbox.until_paused(times=2)
    (worker,) = workers(daemon)
    assert cancelled_within(taskbox, job, "slow/cat.png") < WITHIN
    gone(worker)
    _, state, reason = taskbox.row("slow/cat.png")
    hint = re.escape(HINT.format(job=job))
    assert state == "cancelled"
    assert re.fullmatch(rf"asked for by the user: cancelled at step [1-4] of 20{hint}", reason), reason
    taskbox.drop("calm/cat.png", tiny)
    taskbox.until("calm/cat.png", "done")
    assert daemon.process.poll() is None


def test_in_the_moment_in_which_the_worker_dies(taskbox: TaskBox, tiny: Pixels) -> None:
    """The job is put back for another try, and is cancelled all the same."""
    taskbox.configure(rule("slow", SLOW), tasks="checkpoint: 100ms")
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    taskbox.until_step(1)
    job = taskbox.row("slow/cat.png")[0]
    taskbox.until_saved(job)
    (worker,) = workers(daemon)
    with closing(sqlite3.connect(taskbox.folder / "var/ledger.db", timeout=10)) as ledger:
        ledger.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (job,))  # as `darkroom cancel` does
        ledger.commit()
        kill(worker)
    assert taskbox.until("slow/cat.png", "cancelled", 10).startswith("asked for by the user: cancelled at step ")
    assert taskbox.checkpoint(job).exists() and daemon.stop() == 0


def test_beside_a_configuration_with_faults(taskbox: TaskBox, tiny: Pixels) -> None:
    """The daemon works by the rules from before, and a task that runs away is stopped before they are mended."""
    taskbox.configure(rule("slow", SLOW))
    for name in ("cat", "dog"):
        taskbox.drop(f"slow/{name}.png", tiny)
    daemon = taskbox.start()
    wait_until(lambda: sorted(taskbox.states().values()) == ["running", "waiting"], 120, "one to run")
    text = (taskbox.folder / "config.yaml").read_text()
    taskbox.write_config(text.replace("watch:", "wach:"))
    wait_until((taskbox.folder / "config.error.txt").exists)
    assert "2 jobs cancelled" in taskbox.darkroom("cancel", "1", "2").stdout
    assert set(taskbox.states().values()) == {"cancelled"}

    daemon.stop()
    assert "did you mean watch" in taskbox.darkroom("cancel", "1", check=2).stderr, "no daemon knows where its jobs are"


def test_jobs_that_do_not_run_a_task(taskbox: TaskBox, tiny: Pixels) -> None:
    """One that waits, one that is done, one that nobody knows, one of a daemon that was killed."""
    taskbox.configure(rule("slow", SLOW), rule("calm", "wander: {steps: 3}"))
    taskbox.drop("calm/dog.png", tiny)
    taskbox.start()
    taskbox.until("calm/dog.png", "done")
    taskbox.drop("slow/cat.png", tiny)
    taskbox.until("slow/cat.png", "running")
    taskbox.drop("calm/cat.png", tiny)
    taskbox.until("calm/cat.png", "waiting")
    waiting, running = taskbox.row("calm/cat.png")[0], taskbox.row("slow/cat.png")[0]
    assert "1 job cancelled" in taskbox.darkroom("cancel", str(waiting)).stdout
    assert taskbox.row("calm/cat.png")[1:] == ("cancelled", "asked for by the user: cancelled")

    told = taskbox.darkroom("cancel", str(taskbox.row("calm/dog.png")[0]), check=1).stderr
    assert told.count("\n") == 1 and "done" in told and "Traceback" not in told
    told = taskbox.darkroom("cancel", "999", str(running), check=1).stderr
    assert told == "darkroom: no job 999; `darkroom jobs` lists them\n"
    assert taskbox.state("slow/cat.png") == "running", "all of them or none"

    taskbox._daemons[-1].stop(signal.SIGKILL)
    assert taskbox.state("slow/cat.png") == "running"
    assert "1 job cancelled" in taskbox.darkroom("cancel", str(running)).stdout
    assert taskbox.row("slow/cat.png")[1:] == ("cancelled", "asked for by the user: cancelled")
    taskbox.configure(rule("slow", CALM), rule("calm", CALM))
    taskbox.once()
    assert taskbox.states()["cat.png"] == "cancelled" and taskbox.files("out/slow") == []
    assert taskbox.state("slow/cat.png") == "cancelled", "a start does not take it up"


def test_a_picture_on_its_way_is_not_stopped(box: Box, tiny: Pixels) -> None:
    """It would come out all the same, or twice: told in one line, and the job goes on."""
    box.drop("in/cat.png", tiny)
    with started(box, driver(box, "pipeline.stages", "read_source", "import time", "time.sleep(60)")):
        wait_until(lambda: box.states() == {"cat.png": "running"}, 60, "the picture to be taken")
        told = box.darkroom("cancel", "1", check=1).stderr
        assert told.startswith("darkroom: ") and told.count("\n") == 1 and "running" in told, told
        assert box.states() == {"cat.png": "running"}
