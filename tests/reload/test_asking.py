"""Whoever asks the daemon through its socket, kindly or not: the work goes on, and the next one is answered."""

from __future__ import annotations

import os
import socket

import pytest

from daemon.control import SOCKET, ask
from tests.box import Box, Pixels, wait_until
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
    try:
        connection.connect(f"/proc/self/fd/{folder}/{SOCKET}")
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
    slow = (
        "import daemon.stages as s, time; f = s.encode_result; s.encode_result = lambda w: (time.sleep(0.05), f(w))[1]"
    )
    daemon = box.start("--once", before=slow)
    wait_until(lambda: box.jobs("--state", "done"))
    words = ["--rule", "mosaic"] if command == "redo" else []
    said = box.darkroom(command, *words, timeout=8).stdout
    assert ("is in force since" in said) if command == "reload" else ("on their way already" in said)
    assert daemon.process.wait(60) == 0
