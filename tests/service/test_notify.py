"""What a service manager hears from a daemon, and that a thread which hangs is noticed."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.life.lifesigns import LifeSigns
from daemon.life.notify import Notifier
from daemon.life.threads import Threads, beat
from tests.box import Box, Pixels, wait_until


class Manager:
    """Hears what is sent to its socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)
        self.heard = list[str]()

    def listen(self) -> list[str]:
        """All lines so far."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    found = Manager(str(tmp_path / "notify") if request.param == "path" else f"@darkroom-test-{os.getpid()}")
    yield found
    found.close()


def test_a_manager_hears_the_life_of_the_daemon(box: Box, manager: Manager, small: Pixels) -> None:
    daemon = box.start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="2000000")
    assert "ready" in daemon.lines, "without a word of Ctrl-C"
    heard = manager.listen()
    assert heard[0].startswith("STATUS=starting: ") and heard[1].startswith("EXTEND_TIMEOUT_USEC=")
    wait_until(lambda: "READY=1" in manager.listen(), what="that it is ready")
    box.drop("in/a.jpg", small)
    wait_until(lambda: manager.listen().count("WATCHDOG=1") > 1, what="its signs of life")
    wait_until(lambda: any("0 waiting, 0 in work" in line for line in manager.listen()), what="its status")
    assert daemon.stop() == 0
    heard = manager.listen()
    assert "STOPPING=1" in heard
    assert heard.index("READY=1") < heard.index("WATCHDOG=1") < heard.index("STOPPING=1")


def test_a_manager_that_is_gone_does_not_stop_the_work(box: Box, small: Pixels) -> None:
    daemon = box.start(NOTIFY_SOCKET=str(box.folder / "nobody"))
    assert daemon.said("the service manager cannot be told anything")
    box.drop("in/a.jpg", small)
    wait_until((box.folder / "out/a.jpg").exists, what="the result")


def test_a_watchdog_meant_for_another_process_is_not_fed(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "socket"), "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    notifier = Notifier(pytest.fail, environment)
    notifier.close()
    assert notifier.watchdog is None
    assert not environment, "children would speak in our name"


@pytest.fixture
def told() -> list[str]:
    """The complaints."""
    return []


@pytest.fixture
def life(manager: Manager, told: list[str]) -> Iterator[LifeSigns]:
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "4000000"}
    made = LifeSigns(Notifier(told.append, environment), told.append)
    yield made
    made.close()


@pytest.fixture
def hung() -> Iterator[tuple[Threads, threading.Event]]:
    """A thread that went round once, and goes on when the event is set."""
    go, threads = threading.Event(), Threads()

    def once() -> None:
        beat()
        go.wait()

    threads.start("publish", once, within=0.05)
    yield threads, go
    go.set()
    assert threads.join(5)


def test_one_thread_that_hangs_is_named_and_the_manager_asked_for_a_new_start(
    manager: Manager, life: LifeSigns, told: list[str], hung: tuple[Threads, threading.Event]
) -> None:
    threads, _ = hung
    life.ready([threads])
    wait_until(lambda: threads.late() == ["publish"], what="that it is late")
    life.tick(lambda: "working")
    assert manager.listen() == ["READY=1", "STATUS=working", "WATCHDOG=trigger"]
    assert len(told) == 1 and told[0].startswith("publish: no sign of life")


def test_without_a_manager_it_is_told_where_every_thread_is(
    hung: tuple[Threads, threading.Event], told: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    threads, _ = hung
    life = LifeSigns(Notifier(told.append, {}), told.append)
    life.ready([threads])
    wait_until(threads.late, what="that it is late")
    life.tick(lambda: pytest.fail("nobody asks"))
    life.close()
    assert told[0].startswith("publish: no sign of life") and "in once" in capfd.readouterr().err


def test_a_thread_that_ended_is_not_late(hung: tuple[Threads, threading.Event]) -> None:
    threads, go = hung
    wait_until(threads.late, what="that it is late")
    go.set()
    assert threads.join(5) and not threads.late()


def test_a_reload_is_told(manager: Manager, life: LifeSigns) -> None:
    life.reloading(True)
    heard = manager.listen()
    assert heard[0] == "RELOADING=1" and heard[1].startswith("MONOTONIC_USEC=")
    life.reloading(False)
    assert manager.listen()[2:] == ["READY=1"]


def test_who_waits_for_the_disk_of_the_ledger_lives(manager: Manager, life: LifeSigns, told: list[str]) -> None:
    life.starting("opening the ledger")
    beat()
    assert manager.listen().count("STATUS=starting: opening the ledger") == 2, "the start is given more time"
    life.ready([Threads()])
    beat()
    assert manager.listen()[-1] == "WATCHDOG=1" and not told
