"""Every way in which a task may fall: told in plain words, retried from its checkpoint, and nobody else is hurt."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from tests.box import Pixels, wait_until
from tests.tasks.taskbox import TaskBox, rule

MOSAIC = "  - {name: mosaic, watch: mosaic, steps: [mosaic: {block: 16}], output: 'out/mosaic/{stem}.{ext}'}\n"


def stumbling(how: str, *more: str, **parameters: object) -> str:
    told = ", ".join(f"{name}: {value}" for name, value in {"how": how, **parameters}.items())
    return rule(how, f"stumble: {{{told}}}", *more)


RETRIED = {
    "raise": "ZeroDivisionError: it does not add up, at step 4",
    "hang": "it hung: no step within 2 s after step 3, and was ended; see tasks.hang",
    "signal": "the worker died after step 3 of 6: it was ended by SIGSEGV",
    "exit": "the worker died after step 3 of 6: it ended with 3",
    "wrong": "the worker died after step 3 of 6: not a message: b'{a line that is no message}'",
    "deaf": "it hung: no step within 2 s after step 3, and was ended; see tasks.hang",
}
"""Falls that may pass, and what is told of the first try."""
SAVING = {"memory": "MemoryError", "hoard": "can't allocate memory"}
"""Falls for want of memory, which two savings mend. The second really asks for more than `tasks.memory`."""
PLAIN = ("raise", "signal", "exit", "wrong", "chatter", "memory", "hoard", "refuse", "hang", "deaf")


def test_every_fall(taskbox: TaskBox, mosaic_graph: Path, tiny: Pixels) -> None:
    """One daemon lives through them all, two at a time, and pictures of another rule go on being done."""
    shutil.copytree(mosaic_graph, taskbox.folder / "var" / "graphs", dirs_exist_ok=True)
    rules = [stumbling(how, at=4, pause=0.25, times=9 if how in SAVING else 1) for how in PLAIN]
    taskbox.configure(*rules, MOSAIC, tasks="checkpoint: 100ms, hang: 2s, concurrency: 2, memory: 4GiB")
    for how in PLAIN:
        taskbox.drop(f"{how}/cat.png", tiny)
    daemon = taskbox.start()
    taskbox.until_begun("raise")
    done_before_the_last = 0
    for number in range(200):
        if all(taskbox.state(f"{how}/cat.png") in ("done", "failed") for how in PLAIN):
            break
        taskbox.drop(f"mosaic/{number}.png", tiny)
        taskbox.until(f"mosaic/{number}.png", "done", 20)
        done_before_the_last += 1
    wait_until(lambda: all(taskbox.state(f"{how}/cat.png") in ("done", "failed") for how in PLAIN), 120, "the end")
    assert done_before_the_last >= 5
    jobs = {job["rule"]: job for job in taskbox.jobs() if job["rule"] != "mosaic"}
    assert {how for how in PLAIN if jobs[how]["state"] == "failed"} == {"refuse"}

    for how, reason in RETRIED.items():
        assert f"try 1 of 4 failed, again in 1 s: {reason}" in taskbox.history(f"{how}/cat.png"), how
        begins = [int(line.split()[2].rstrip(",")) for line in taskbox.diary(f"{how}: from")]
        assert begins[0] == 0 < begins[1] <= 3 and len(begins) == 2, f"{how} went on from its checkpoint: {begins}"
        assert jobs[how]["attempts"] == 1 and jobs[how]["record"]["steps"] == 6
        assert daemon.said(f"{how}: cat.png: waiting: try 1 of 4 failed"), how

    assert jobs["chatter"]["attempts"] == 0 and len(taskbox.diary("chatter: from")) == 1
    refused = jobs["refuse"]
    assert refused["reason"] == "the picture is not to its taste; give another" and refused["attempts"] == 0
    assert len(taskbox.diary("refuse: from")) == 1, "never tried again"
    receipt = (taskbox.folder / "out/refuse/cat.png.error.txt").read_text()
    assert "the picture is not to its taste; give another" in receipt

    for how, words in SAVING.items():
        history = taskbox.history(f"{how}/cat.png")
        assert "out of memory" in history and words in history
        assert "tried again with half of the rows" in history and "tried again with a quarter of the rows" in history
        assert [line[-1] for line in taskbox.diary(f"{how}: from")] == ["0", "1", "2"]
        assert jobs[how]["attempts"] == 0 and jobs[how]["record"]["thrift"] == 2
        assert jobs[how]["record"]["savings"] == "half of the rows; a quarter of the rows"
        assert "with half of the rows, with a quarter of the rows" in jobs[how]["reason"]

    for how in set(PLAIN) - {"refuse"}:
        assert np.array_equal(taskbox.picture(f"out/{how}/cat.png"), tiny)
    assert not [name for name in taskbox.files("var/tasks") if "checkpoint" in name]
    assert daemon.process.poll() is None and daemon.stop() == 0


def test_more_falls_than_retries(taskbox: TaskBox, tiny: Pixels) -> None:
    """Tries that get no further than the ones before are counted, then it is failed, with a receipt. The checkpoint
    is gone, which might be the cause, and so is the preview; `retry` begins at the beginning.
    """
    taskbox.configure(stumbling("raise", "retries: 1", "preview: 100ms", times=100, at=5, pause=0.25))
    taskbox.drop("raise/cat.png", tiny)
    daemon = taskbox.start()
    assert taskbox.until("raise/cat.png", "failed") == "ZeroDivisionError: it does not add up, at step 5"
    job = taskbox.job("raise/cat.png")
    assert job["attempts"] == 1
    assert taskbox.history("raise/cat.png").count("try 1 of 2 failed, again in 1 s: ZeroDivisionError") >= 1
    wait_until(lambda: taskbox.files("out") == ["raise/cat.png.error.txt"], 5, "only the receipt to be left")
    assert not taskbox.checkpoint(job["id"]).exists()
    begins = [int(line.split()[2].rstrip(",")) for line in taskbox.diary("raise: from")]
    assert begins[0] == 0 < begins[1] <= begins[-1] <= 4
    with (taskbox.folder / "diary").open("a") as diary:
        diary.write("raise: falls no more\n" * 100)
    taskbox.darkroom("retry", str(job["id"]))
    taskbox.until("raise/cat.png", "done")
    assert taskbox.diary("raise: from")[len(begins) :] == ["raise: from 0, thrift 0"]
    wait_until(lambda: taskbox.files("out") == ["raise/cat.png"], 5, "only the picture to be left")
    assert daemon.stop() == 0


def test_memory_in_which_pytorch_cannot_even_start(taskbox: TaskBox, tiny: Pixels) -> None:
    """The rule waits, and is told which setting it is."""
    taskbox.configure(rule("calm", "wander: {steps: 3}"), tasks="memory: 16MiB")
    taskbox.drop("calm/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(lambda: "raise tasks.memory" in taskbox.row("calm/cat.png")[2], 60, "the reason")
    assert taskbox.state("calm/cat.png") == "waiting" and daemon.process.poll() is None


def test_memory_that_never_suffices(taskbox: TaskBox, tiny: Pixels) -> None:
    """With all the savings it is a fault like others: retried, then failed, in plain words."""
    taskbox.configure(rule("greedy", "stumble: {how: greedy, times: 100}", "retries: 1"))
    taskbox.drop("greedy/cat.png", tiny)
    taskbox.once(check=1)
    job = taskbox.job("greedy/cat.png")
    assert job["state"] == "failed" and job["reason"] == "out of memory (MemoryError)"
    assert [line[-1] for line in taskbox.diary("greedy: from")] == ["0", "1", "2", "2"]
    assert taskbox.files("out") == ["greedy/cat.png.error.txt"]
