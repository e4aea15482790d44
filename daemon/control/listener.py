"""The daemon's end. Several askers are answered at a time: one who waits for an edit, or is slow, keeps nobody else."""

from __future__ import annotations

import contextlib
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

from daemon.control.wire import PATIENCE, SOCKET, receive, send
from daemon.errors import DarkroomError, accepting_failed, writing_failed
from daemon.life.threads import Threads
from daemon.sockets import MODE, knock, short

log = logging.getLogger("darkroom")

LOOK = 0.5
"""Seconds between two looks at whether to stop."""
QUESTION_WITHIN = 0.5
"""Seconds that an asker is waited for: it sends its question with the connection. One who is silent holds a place."""

AT_A_TIME = 64
"""Askers that are answered at a time; others wait."""
LONGEST_QUESTION = 1 << 12
"""Bytes of a line, at most."""

Answer: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Control:
    """`answers` by question; each is called with what was asked, in a thread of its own."""

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

    def wake(self) -> None:
        """End the current wait for somebody who asks."""
        with contextlib.suppress(OSError), short(self._state_dir) as folder:
            knock(socket.AF_UNIX, f"{folder}/{SOCKET}")

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
                question = receive(asker, time.monotonic() + QUESTION_WITHIN, LONGEST_QUESTION)
                asker.settimeout(PATIENCE)
                send(asker, self._answer(question))
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
