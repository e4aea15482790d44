"""Questions that may hang, such as one to a ledger whose disk is gone, asked so that whoever wants to know does not."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from daemon.errors import BlockedError
from daemon.life.threads import Threads

WITHIN = 1.0
"""Seconds that an answer is waited for."""

Found = TypeVar("Found")


class Promptly:
    """Asks in a thread of its own, one question at a time: of those that hang there is never more than one.

    SQLite's own time-out is no bound: where no lock to read is to be had it tries for ten seconds whatever it was told.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._free = threading.Lock()
        self._threads = Threads()

    def ask(self, question: Callable[[], Found], of: object) -> Found:
        """The answer of `question()`; what it raises is raised here. BlockedError: `of` gives none within WITHIN."""
        deadline = time.monotonic() + WITHIN
        answers = queue.SimpleQueue[Found | Exception]()
        try:
            if not self._free.acquire(timeout=WITHIN):
                raise queue.Empty
            try:
                self._threads.start(self._name, lambda: self._answer(question, answers))
            except RuntimeError as error:  # the system gives no more threads
                self._free.release()
                raise BlockedError(f"{of}: cannot be asked now ({error}); end other programs") from error
            found = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            remedy = "close the program that holds it, or see to its disk"
            raise BlockedError(f"{of}: busy, no answer within {WITHIN:g} s; {remedy}") from None
        if isinstance(found, Exception):
            raise found
        return found

    def _answer(self, question: Callable[[], Found], answers: queue.SimpleQueue[Found | Exception]) -> None:
        try:
            answers.put(question())
        except Exception as error:  # noqa: BLE001 - it is raised by whoever asked
            answers.put(error)
        finally:
            self._free.release()

    def close(self) -> None:
        """See to it that nothing is being asked any more, unless it hangs."""
        self._threads.join(WITHIN)
