"""The daemon's local socket: other darkroom commands ask it things, and it answers from where the work is done.

A Unix socket in `state_dir`, for its owner and group (mode 0660); no port. A question is a line of JSON, so is the
answer. Several are answered at a time, so that one who waits for an edit, or is slow, keeps nobody from asking.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from daemon.errors import DarkroomError, accepting_failed, writing_failed
from daemon.sockets import MODE, short
from daemon.threads import Threads

log = logging.getLogger("darkroom")

SOCKET = "control.sock"
LOOK = 0.5
"""Seconds between two looks at whether to stop."""
PATIENCE = 2.0
"""Seconds that one side waits for the other, unless it is told of a longer answer."""
QUESTION_WITHIN = 0.5
"""Seconds that an asker is waited for: it sends its question with the connection. One who is silent holds a place."""

AT_A_TIME = 64
"""Askers that are answered at a time; others wait."""
LONGEST_QUESTION, LONGEST = 1 << 12, 1 << 26
"""Bytes of a line, at most: of a question, and of an answer about many rules with very long names."""

Answer: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class NoAnswerError(DarkroomError):
    """Nobody listens there, or whoever does says nothing."""

    kind = "unanswered"


class SilentError(NoAnswerError):
    """Somebody listens there and says nothing: to ask once more would take as long again."""


class Control:
    """The daemon's end. `answers` by question; each is called with what was asked, in a thread of its own."""

    def __init__(self, state_dir: Path, answers: Mapping[str, Answer], complain: Callable[[str], None]) -> None:
        self._state_dir = state_dir
        self._answers = answers
        self._complain = complain
        self._socket: socket.socket | None = None
        self._inode = 0
        self._threads = Threads()
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(AT_A_TIME):
            self._free.put(number)

    def open(self) -> None:
        """Listen. Where that cannot be (some network shares hold no sockets) the work goes on without."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short(self._state_dir) as folder:
                path = f"{folder}/{SOCKET}"
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # of a daemon that was killed: the lock of the folder is ours
                listening.bind(path)
                self._inode = os.stat(path).st_ino
                os.chmod(path, MODE)  # before anybody can connect
                with contextlib.suppress(PermissionError):  # a group that the daemon's user is not in
                    os.chown(path, -1, os.stat(folder).st_gid)
            listening.listen(128)
            listening.settimeout(LOOK)
        except OSError as error:
            listening.close()
            trouble = writing_failed(str(self._state_dir / SOCKET), error)
            self._complain(f"{trouble}; until then `darkroom status` cannot ask this daemon")
            return
        self._socket = listening

    def run(self, stop: threading.Event) -> None:
        """Answer until `stop` is set."""
        while self._socket is not None and not stop.is_set():
            try:
                number = self._free.get(timeout=LOOK)
            except queue.Empty:
                continue
            try:
                asker, _ = self._socket.accept()
            except TimeoutError:
                self._free.put(number)
            except OSError as error:  # no descriptor is free, say: those of the work will be again
                self._free.put(number)
                self._complain(accepting_failed(str(self._state_dir / SOCKET), error))
                stop.wait(LOOK)
            else:
                self._serve(asker, number)

    def _serve(self, asker: socket.socket, number: int) -> None:
        try:
            self._threads.start(f"asked-{number}", partial(self._talk, asker, number))
        except RuntimeError as error:  # the system gives no more threads
            asker.close()
            self._free.put(number)
            self._complain(f"{self._state_dir / SOCKET}: cannot answer now ({error}); end other programs")

    def _talk(self, asker: socket.socket, number: int) -> None:
        try:
            # Whoever went away, or speaks otherwise, is let be: JSON nested too deeply is a RecursionError.
            with asker, contextlib.suppress(OSError, ValueError, RecursionError):
                question = _receive(asker, time.monotonic() + QUESTION_WITHIN, LONGEST_QUESTION)
                asker.settimeout(PATIENCE)
                _send(asker, self._answer(question))
        finally:
            self._free.put(number)

    def _answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self._answers.get(str(question.get("ask")))
        if answer is None:
            return {"error": "this darkroom does not know the question; it may be another version than the one asking"}
        try:
            return answer(question)
        except DarkroomError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("internal error with the question %s", question)
            return {"error": f"internal error ({type(error).__name__}: {error}); please report it"}

    def close(self) -> None:
        """Listen no more. Whoever waits for an answer is not waited for."""
        if self._socket is not None:
            self._threads.join(0.1)
            self._socket.close()
            with contextlib.suppress(OSError):  # the folder may be gone, or another's by now
                if os.stat(self._state_dir / SOCKET).st_ino == self._inode:
                    os.unlink(self._state_dir / SOCKET)


def ask(state_dir: Path, question: str, *, patience: float = PATIENCE, **more: Any) -> dict[str, Any]:
    """What the daemon of a `state_dir` answers within `patience` seconds.

    Raises NoAnswerError (SilentError) where none does, and DarkroomError with what it has to say against the question.
    """
    place, deadline = state_dir / SOCKET, time.monotonic() + patience
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, short(state_dir) as folder:
            connection.settimeout(patience)
            _connect(connection, f"{folder}/{SOCKET}", deadline)
            _send(connection, {"ask": question, **more})
            answer = _receive(connection, deadline)
    except PermissionError as error:
        raise DarkroomError(_not_for_us(place)) from error
    except (OSError, ValueError) as error:
        silent = isinstance(error, TimeoutError | BlockingIOError)
        raise (SilentError if silent else NoAnswerError)(f"{place}: no daemon answers there ({error})") from error
    if "error" in answer:
        raise DarkroomError(str(answer["error"]))
    return answer


def _not_for_us(place: Path) -> str:
    """What a user reads who may not ask a daemon that works as another; with whom to ask as, where that can be seen."""
    try:
        owner, group = place.owner(), place.group()
    except (OSError, KeyError):  # its folder is closed to us, or the user has no name
        return f"{place}: this user may not ask the daemon; ask as the one it works as"
    told = f"this user may not ask the daemon, which works as {owner}"
    return f"{place}: {told}; put `sudo -u {owner}` before the command, or join the group {group} (usermod -aG)"


def _send(connection: socket.socket, value: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(value).encode() + b"\n")


def _connect(connection: socket.socket, path: str, deadline: float) -> None:
    """Where too many ask at once, connect(2) does not wait but refuses."""
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _receive(connection: socket.socket, deadline: float, longest: int = LONGEST) -> dict[str, Any]:
    """One line, all of it by the deadline. Raises ValueError for anything that is no JSON mapping, and OSError."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= longest:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        if not (more := connection.recv(1 << 16)):
            break
        line += more
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    return found
