"""Whoever asks the daemon through its socket, kindly or not: the work goes on, and the next one is answered."""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial

import pytest

from daemon.control.asker import ask
from daemon.control.wire import SOCKET
from tests.box import Box, Pixels, slow_encoding, wait_until
from tests.metrics.scrape import free_port, of_port
from tests.reload.test_reload import configure, rule

QUESTIONS = {
    "nested": b"[" * 4000 + b"\n",
    "nested deeper than a question is long": b"[" * 200_000 + b"\n",
    "no JSON": b"hello\n",
    "no mapping": b"[]\n",
    "no line": b'{"ask": "status"}',
    "nothing": b"",
    "another question": b'{"ask": "sesame"}\n',
    "not text": bytes(range(256)),
}


def connected(box: Box) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    folder = os.open(box.folder / "var", os.O_PATH)

    def let_in() -> bool:
        """Of many at once some are told to come again."""
        with suppress(BlockingIOError):
            connection.connect(f"/proc/self/fd/{folder}/{SOCKET}")
            return True
        return False

    try:
        wait_until(let_in)
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def test_hostile_questions(box: Box, small: Pixels) -> None:
    configure(box, rule())
    daemon = box.start()
    for name, question in QUESTIONS.items():
        with connected(box) as connection:
            try:
                connection.sendall(question)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1 << 16)
            except OSError:  # it hung up on us
                pass
        assert ask(box.folder / "var", "status")["running"], name
    box.drop("in/a.png", small)
    wait_until(lambda: box.states() == {"a.png": "done"})
    assert daemon.stop() == 0


@pytest.mark.parametrize("command", ["reload", "redo"])
def test_beside_a_run_that_reads_its_rules_once(box: Box, small: Pixels, command: str) -> None:
    """It tells what is in force, and nobody waits for what will not come."""
    configure(box, rule())
    for number in range(200):
        box.drop(f"in/{number}.png", small)
    daemon = box.start("--once", before=slow_encoding(0.05))
    wait_until(lambda: box.jobs("--state", "done"))
    words = ["--rule", "mosaic"] if command == "redo" else []
    said = box.darkroom(command, *words, timeout=8).stdout
    assert ("is in force since" in said) if command == "reload" else ("on the way already" in said)
    assert daemon.process.wait(60) == 0


def test_many_at_once_beside_one_who_is_slow(box: Box) -> None:
    configure(box, rule())
    box.start()
    with connected(box) as slow, ThreadPoolExecutor(40) as pool:
        slow.sendall(b"{")
        answers = list(pool.map(lambda _: ask(box.folder / "var", "status", patience=10), range(40)))
    assert all(answer["running"] for answer in answers)


def test_many_who_are_silent(box: Box) -> None:
    """Each holds a place for a moment only."""
    configure(box, rule())
    box.start()
    with ExitStack() as open_ones:
        for _ in range(140):
            open_ones.enter_context(connected(box))
        assert ask(box.folder / "var", "status", patience=8)["running"]


def test_no_descriptor_is_free(box: Box, small: Pixels) -> None:
    """Whoever asks then is answered later; the work goes on, and it is told once."""
    port = free_port()
    configure(box, rule(), head=f"settle: 100ms\nmetrics: {{port: {port}}}")
    daemon = box.start()
    _, most = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, most))
    with connected(box), socket.create_connection(("127.0.0.1", port)):
        told = [f"{box.folder}/var/{SOCKET}: whoever asks there", f"metrics: http://127.0.0.1:{port}/metrics: whoever"]
        for line in told:
            wait_until(partial(daemon.said, line))
        assert daemon.process.poll() is None
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (most, most))
    wait_until(lambda: of_port(port).value("darkroom_jobs_in_flight") == 0)
    assert ask(box.folder / "var", "status", patience=10)["running"]
    assert [sum(text in line for line in daemon.lines) for text in told] == [1, 1]
    box.drop("in/a.png", small)
    wait_until(lambda: box.states() == {"a.png": "done"})
    assert daemon.stop() == 0


def test_one_who_says_nothing_is_asked_once(box: Box) -> None:
    """A daemon that is stopped, or hangs: a second question would take as long in vain."""
    configure(box, rule())
    asked, enough = list[socket.socket](), threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        folder = os.open(box.folder / "var", os.O_PATH)
        silent.bind(f"/proc/self/fd/{folder}/{SOCKET}")
        os.close(folder)
        silent.listen()
        silent.settimeout(0.1)

        def count() -> None:
            while not enough.is_set():
                with suppress(TimeoutError):
                    asked.append(silent.accept()[0])

        counting = threading.Thread(target=count)
        counting.start()
        try:
            for words, status in ((["status"], 3), (["why", "in/a.png"], 1), (["reload"], 3), (["jobs"], 0)):
                before = len(asked)
                box.darkroom(*words, check=status)
                assert len(asked) == before + 1, words
        finally:
            enough.set()
            counting.join()
            for each in asked:
                each.close()


def test_an_edit_that_waits_for_the_disk_is_not_said_to_be_in_force(box: Box) -> None:
    """Another program holds the ledger: the edit waits, whoever asks for it too, and status answers meanwhile."""
    configure(box, rule())
    box.start()
    wait_until(lambda: ask(box.folder / "var", "status")["rules"])
    with closing(sqlite3.connect(box.folder / "var/ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        configure(box, rule("renamed"))
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(ask, box.folder / "var", "reload", patience=30) for _ in range(2)]
            status = ask(box.folder / "var", "status")
            assert [each["name"] for each in status["rules"]] == ["mosaic"]
            assert not any(each.done() for each in asked)
            other.execute("ROLLBACK")
            for answer in asked:
                assert "is now called renamed" in " ".join(answer.result()["changes"])
    assert [each["name"] for each in ask(box.folder / "var", "status")["rules"]] == ["renamed"]
