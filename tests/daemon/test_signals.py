"""Signals at the worst moment, and terminals and readers that go away: from outside, on real processes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import HEARING, Box, Pixels, wait_until

INTERRUPTED = """
import os, signal, threading
real = threading.Event.wait
def interrupted(self, *words):
    if threading.current_thread() is threading.main_thread() and words == (0.1,):
        threading.Event.wait = real
        with self._cond:
            os.kill(os.getpid(), signal.SIGTERM)
    return real(self, *words)
threading.Event.wait = interrupted
"""
"""The loop of the daemon has just taken the lock of the event that it waits for."""


def test_an_end_that_is_asked_for_while_the_loop_takes_a_lock(box: Box) -> None:
    box.rules()
    daemon = box.start(before=INTERRUPTED, ready=False)
    assert daemon.process.wait(60) == 0 and daemon.said("stopped")


LOADING = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *more):
        if name == "pydantic":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000): pass
            except KeyboardInterrupt:
                raise ImportError("initialization failed")  # as modules of C and Rust do
sys.meta_path.insert(0, Finder())
"""


def test_ctrl_c_while_modules_load(box: Box) -> None:
    daemon = box.start(before=LOADING, ready=False)
    assert daemon.process.wait(60) == 130 and daemon.lines == []


@contextlib.contextmanager
def on_a_terminal(box: Box, through: tuple[str, ...]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A daemon that is ready, and the other end of its terminal."""
    ours, its = pty.openpty()
    command = ["setsid", "--wait", "--ctty", *through, *box.command("run")]
    process = subprocess.Popen(command, cwd=box.folder, env=box.environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    try:
        told = b""
        while b"ready; Ctrl-C stops it" not in told:
            told += os.read(ours, 4096)
        yield process, ours
    finally:
        process.kill()
        process.wait()


def test_a_terminal_that_is_closed_is_a_clean_end(box: Box) -> None:
    box.rules()
    with on_a_terminal(box, HEARING) as (process, terminal):
        os.close(terminal)
        assert process.wait(30) == 0
    assert not list(box.folder.rglob("control.sock"))


def test_a_daemon_that_outlives_its_terminal_goes_on(box: Box, photograph: Pixels) -> None:
    """As `nohup` and `disown` leave it."""
    box.rules()

    def made(name: str) -> bool:
        box.drop(f"in/{name}", photograph)
        return bool(wait_until(lambda: name in box.files()))

    with on_a_terminal(box, ("env", "--ignore-signal=HUP")) as (process, terminal):
        pid = json.loads(box.darkroom("status", "--json").stdout)["pid"]
        os.close(terminal)
        assert made("a.png") and made("b.png"), "the first line that goes nowhere, and those after it"
        os.kill(pid, signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_journal_on_a_full_disk_keeps_nobody_from_work(box: Box, photograph: Pixels) -> None:
    box.rules()
    box.drop("in/a.png", photograph)
    with open("/dev/full", "w") as full:
        words = [*HEARING, *box.command("run", "--once")]
        done = subprocess.run(
            words, check=False, cwd=box.folder, env=box.environment, stdout=full, stderr=full, timeout=90
        )
    assert done.returncode == 0 and box.files() == ["a.png"]
