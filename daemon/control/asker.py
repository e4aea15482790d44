"""The end of whoever asks."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from daemon.control.wire import PATIENCE, SOCKET, receive, send
from daemon.errors import DarkroomError
from daemon.sockets import short


class NoAnswerError(DarkroomError):
    """Nobody listens there, or whoever does says nothing."""

    kind = "unanswered"


class SilentError(NoAnswerError):
    """Somebody listens there and says nothing: to ask once more would take as long again."""


def ask(state_dir: Path, question: str, *, patience: float = PATIENCE, **more: Any) -> dict[str, Any]:
    """What the daemon of a `state_dir` answers within `patience` seconds.

    Raises NoAnswerError (SilentError) where none does, and DarkroomError with what it has to say against the question.
    """
    place, deadline = state_dir / SOCKET, time.monotonic() + patience
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, short(state_dir) as folder:
            connection.settimeout(patience)
            _connect(connection, f"{folder}/{SOCKET}", deadline)
            send(connection, {"ask": question, **more})
            answer = receive(connection, deadline)
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


def _connect(connection: socket.socket, path: str, deadline: float) -> None:
    """Where too many ask at once, connect(2) does not wait but refuses."""
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
