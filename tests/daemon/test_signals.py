"""Signals at the worst moment, and terminals and readers that go away: from outside, on real processes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import time
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


def _read_until(terminal: int, wanted: bytes) -> bytes:
    told = b""
    while wanted not in told:
        assert select.select([terminal], [], [], 60)[0], told
        told += os.read(terminal, 4096)
    return told


@contextlib.contextmanager
def on_a_terminal(
    box: Box, through: tuple[str, ...], before: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A daemon that is ready, and the other end of its terminal."""
    ours, its = pty.openpty()
    command = ["setsid", "--wait", "--ctty", *through, *box.running(before)]
    process = subprocess.Popen(command, cwd=box.folder, env=box.environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    try:
        _read_until(ours, b"ready; Ctrl-C stops it")
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


@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.02])
def test_a_closed_terminal_is_told_twice(box: Box, seconds: float) -> None:
    """By the shell and by the kernel, to what a shell has started: that is no second wish."""
    box.rules()
    with on_a_terminal(box, HEARING) as (process, _):
        pid = json.loads(box.darkroom("status", "--json").stdout)["pid"]
        os.kill(pid, signal.SIGHUP)
        time.sleep(seconds)  # the thing itself: how far apart the two are
        os.kill(pid, signal.SIGHUP)
        assert process.wait(30) == 0
    assert not list(box.folder.rglob("control.sock"))


def test_a_daemon_that_is_refused_leaves_the_terminal_as_it_was(box: Box) -> None:
    box.rules()
    box.start()
    ours, its = pty.openpty()
    refused = subprocess.run(
        box.command("run"), cwd=box.folder, env=box.environment, stdout=its, stderr=its, check=False
    )
    os.close(its)
    told = _read_until(ours, b"\n")
    assert refused.returncode == 1 and b"darkroom" in told and b"\x1b[?25l" not in told


def test_a_second_wish_gives_the_cursor_back(box: Box) -> None:
    box.rules()
    slow = """
import time, daemon.pipeline.pipeline as it
def stop(self, within):
    open("ending", "w").close()
    time.sleep(60)
it.Pipeline.stop = stop
"""
    with on_a_terminal(box, HEARING, before=slow) as (process, terminal):
        pid = json.loads(box.darkroom("status", "--json").stdout)["pid"]
        os.kill(pid, signal.SIGINT)
        wait_until((box.folder / "ending").exists)
        os.kill(pid, signal.SIGINT)
        assert process.wait(30) == 130
        assert b"\x1b[?25h" in _read_until(terminal, b"\x1b[?25h")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(box: Box, photograph: Pixels, closed: str) -> None:
    box.rules()
    box.drop("in/a.png", photograph)
    words = ["sh", "-c", f'"$@" {closed}', "sh", *box.command("run", "--once")]
    done = subprocess.run(words, check=False, cwd=box.folder, env=box.environment, capture_output=True, timeout=90)
    assert done.returncode == 0 and box.files() == ["a.png"] and b"Traceback" not in done.stderr


def test_one_heap_for_all_threads(box: Box) -> None:
    """glibc gives a thread that is started before `keep_pages` a heap of its own, and keeps pages in both."""
    heaps = """
import ctypes, os, daemon.service as it
real = it.Service._loop
def looked(self):
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(b"heaps.xml", b"w"))
    libc.malloc_info(0, file); libc.fclose(file)
    real(self)
it.Service._loop = looked
"""
    box.rules()
    box.start("--once", before=heaps, ready=False).process.wait(60)
    assert (box.folder / "heaps.xml").read_text().count("<heap ") == 1


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
