"""Ctrl-C and SIGTERM while a task runs, loads, or makes a long step: a quick, clean end, and the restart goes on."""

from __future__ import annotations

import signal
import time

import pytest

from tests.box import Daemon, Pixels, wait_until
from tests.tasks.same import assert_same
from tests.tasks.taskbox import CALM, SLOW, TaskBox, gone, rule, workers

WITHIN = 3.0
"""Seconds that an end may take: two for the task."""


def ended(daemon: Daemon, number: int) -> float:
    """Stop a daemon; the seconds that took. Its worker is gone too, and it ended in good order."""
    found = wait_until(lambda: workers(daemon), 30, "a worker")
    began = time.monotonic()
    assert daemon.stop(number) == 0, daemon.lines
    took = time.monotonic() - began
    gone(*found)
    assert daemon.said("stopped; 1 picture left for the next start") and not daemon.said("Traceback")
    assert not daemon.said("stopped while a picture was being worked on")
    return took


def test_in_the_midst_of_it(taskbox: TaskBox, tiny: Pixels) -> None:
    """Stopped twice, by Ctrl-C and by SIGTERM; it goes on from the very step, and the result is the same."""
    taskbox.configure(rule("slow", SLOW, "preview: 200ms"), rule("calm", CALM))
    taskbox.drop("slow/cat.png", tiny)
    for number, least in ((signal.SIGINT, 3), (signal.SIGTERM, 12)):
        daemon = taskbox.start()
        taskbox.until_step(least)
        (task,) = taskbox.status()["tasks"]
        assert task["worker"] in workers(daemon)
        assert ended(daemon, number) < WITHIN
        _, state, reason = taskbox.row("slow/cat.png")
        assert state == "waiting" and reason.startswith("handed back: darkroom was stopped, at step "), reason
        assert taskbox.files("out") == [], "no preview is left"
    stopped_at = int(reason.rpartition("at step ")[2].split()[0])
    taskbox.drop("calm/cat.png", tiny)
    taskbox.once()
    begins = sorted(taskbox.begins())
    assert begins[:2] == [0, 0] and begins[2] > 0 and begins[3:] == [stopped_at]
    assert taskbox.job("slow/cat.png")["attempts"] == 0
    assert_same(taskbox, "slow/cat.png", "calm/cat.png")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_pytorch_is_loaded(taskbox: TaskBox, tiny: Pixels, number: int) -> None:
    taskbox.configure(rule("slow", SLOW))
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(lambda: workers(daemon), 30, "a worker")
    assert ended(daemon, number) < WITHIN
    assert taskbox.diary() == [], "it had not begun"
    assert taskbox.row("slow/cat.png")[1:] == ("waiting", "handed back: darkroom was stopped, before its first step")


def test_a_closed_terminal_is_nothing_to_a_daemon_under_nohup(taskbox: TaskBox) -> None:
    taskbox.configure(rule("calm", CALM))
    daemon = Daemon(taskbox.command("run"), taskbox.folder, taskbox.environment, ("nohup",))
    taskbox._daemons.append(daemon)
    daemon.wait_ready()
    daemon.process.send_signal(signal.SIGHUP)
    assert taskbox.status()["running"] and daemon.process.poll() is None
    assert daemon.stop(signal.SIGTERM) == 0


def test_a_long_step(taskbox: TaskBox, tiny: Pixels) -> None:
    """A worker that does not stop by itself is ended."""
    taskbox.configure(rule("slow", "wander: {steps: 4, pause: 30, slow: 4}"))
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    taskbox.until_paused()
    assert ended(daemon, signal.SIGINT) < WITHIN
    assert taskbox.state("slow/cat.png") == "waiting"


def test_in_the_last_step(taskbox: TaskBox, tiny: Pixels) -> None:
    """A state after the last step is whole too: what is left is to give the result, and it tells of all the steps."""
    taskbox.configure(rule("slow", "wander: {steps: 4, pause: 0.8, slow: 4}"), rule("calm", "wander: {steps: 4}"))
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    taskbox.until_paused()
    assert ended(daemon, signal.SIGINT) < WITHIN
    assert taskbox.row("slow/cat.png")[2].endswith("at step 4 of 4")
    taskbox.drop("calm/cat.png", tiny)
    taskbox.once()
    assert taskbox.begins() == [0, 4, 0]
    assert_same(taskbox, "slow/cat.png", "calm/cat.png")
