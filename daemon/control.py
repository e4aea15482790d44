"""The daemon's local socket: other darkroom commands ask it things, and it answers from where the work is done.

A Unix socket in `state_dir`, for its owner and group (mode 0660); no port. A question is a line of JSON, so is the
answer. One asker at a time, each for a moment: an answer comes from memory or from the ledger, never from the work.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from daemon.errors import DarkroomError, writing_failed
from daemon.sockets import MODE, short

log = logging.getLogger("darkroom")

SOCKET = "control.sock"
LOOK = 0.5
"""Seconds between two looks at whether to stop."""
PATIENCE = 2.0
"""Seconds that one side waits for the other, unless it is told of a longer answer."""

LONGEST_QUESTION = 1 << 12
LONGEST = 1 << 26
"""Bytes of a line, at most: of an answer about many rules with very long names."""

Answer: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class NoAnswerError(DarkroomError):
    """Nobody listens there, or whoever does says nothing."""

    kind = "unanswered"


class Control:
    """The daemon's end. `answers` by question; each is called in this thread with what was asked."""

    def __init__(self, state_dir: Path, answers: Mapping[str, Answer], complain: Callable[[str], None]) -> None:
        self._state_dir = state_dir
        self._answers = answers
        self._complain = complain
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen. Where that cannot be (some network shares hold no sockets) the work goes on without."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short(self._state_dir) as folder:
                path = f"{folder}/{SOCKET}"
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # of a daemon that was killed: the lock of the folder is ours
                listening.bind(path)
                os.chmod(path, MODE)  # before anybody can connect
            listening.listen(8)
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
                asker, _ = self._socket.accept()
            except TimeoutError:
                continue
            # Whoever went away, or speaks otherwise, is let be: JSON nested too deeply is a RecursionError.
            with asker, contextlib.suppress(OSError, ValueError, RecursionError):
                asker.settimeout(PATIENCE)
                _send(asker, self._answer(_receive(asker, LONGEST_QUESTION)))

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
        """Listen no more."""
        if self._socket is not None:
            self._socket.close()
            (self._state_dir / SOCKET).unlink(missing_ok=True)


def ask(state_dir: Path, question: str, *, patience: float = PATIENCE, **more: Any) -> dict[str, Any]:
    """What the daemon of a `state_dir` answers within `patience` seconds.

    Raises NoAnswerError where none does, and DarkroomError with what it has to say against the question.
    """
    place = state_dir / SOCKET
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, short(state_dir) as folder:
            connection.settimeout(patience)
            connection.connect(f"{folder}/{SOCKET}")
            _send(connection, {"ask": question, **more})
            answer = _receive(connection)
    except PermissionError as error:
        raise DarkroomError(f"{place}: this user may not ask the daemon; ask as its user, or join its group") from error
    except (OSError, ValueError) as error:
        raise NoAnswerError(f"{place}: no daemon answers there ({error})") from error
    if "error" in answer:
        raise DarkroomError(str(answer["error"]))
    return answer


def _send(connection: socket.socket, value: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(value).encode() + b"\n")


def _receive(connection: socket.socket, longest: int = LONGEST) -> dict[str, Any]:
    """One line. Raises ValueError for anything that is no JSON mapping."""
    with connection.makefile("rb") as lines:
        line = lines.readline(longest)
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    return found
