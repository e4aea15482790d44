"""One hook at work: a process with the event on its standard input, ended with its whole group when its time is up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from daemon.hooks import words
from daemon.hooks.events import Event
from daemon.hooks.webhook import request
from export.store import child_environment

KEPT = 4096  # bytes of what it says on standard error
CHUNK = 1 << 16
CHUNKS = 16  # read at one look, at most: a hook that never stops talking must not keep the others waiting
NOT_FOR_HOOKS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
"""What systemd tells the daemon, and means the daemon by."""


class HookProcess:
    """A hook that was started for an event, in `folder`; `now` is when, monotonic. Raises OSError if it cannot be.

    It is looked at, never waited for: one thread looks after all.
    """

    def __init__(self, event: Event, folder: Path, now: float) -> None:
        self.event = event
        self._until = now + event.hook.timeout
        self._said = b""
        with _file_of(_stdin(event)) as stdin:
            # A session of its own: Ctrl-C in the terminal is for the daemon, and what it starts can be ended with it.
            self._child = subprocess.Popen(
                _command(event),
                cwd=folder,
                env=_environment(event),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._child.stderr is not None
        self._errors = self._child.stderr.fileno()
        os.set_blocking(self._errors, False)

    def look(self, now: float) -> str | None:
        """What went wrong, "" if it is well and through; None while it runs. After its time it is ended."""
        status = self._child.poll()
        self._listen()
        if status is None and now < self._until:
            return None
        if status is None:
            self.kill()
            return f"ended after its time-out, {self.event.hook.timeout:g} s"
        self._close()
        return self._verdict(status)

    def kill(self) -> None:
        """End it at once, and all that it started and that stayed in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)  # it was not waited for, so the number is still its own
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that a dead disk holds is left to the system
            self._child.wait(1.0)
        self._close()

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(CHUNKS):
                if not (said := os.read(self._errors, CHUNK)):
                    return
                self._said += said[: KEPT - len(self._said)]

    def _close(self) -> None:
        assert self._child.stderr is not None
        self._child.stderr.close()

    def _verdict(self, status: int) -> str:
        if status == 0:
            return ""
        if status < 0:
            known = -status in list(signal.Signals)
            return f"was ended by {signal.Signals(-status).name if known else f'signal {-status}'}"
        said = self._first_line()
        return said if said and self.event.hook.webhook else f"ended with {status}: {said or 'it said nothing'}"

    def _first_line(self) -> str:
        lines = self._said.decode(errors="backslashreplace").strip().splitlines()
        return "".join(c if c.isprintable() else " " for c in lines[0][:200]) if lines else ""


@contextlib.contextmanager
def _file_of(content: bytes) -> Iterator[IO[bytes]]:
    """A file in memory: it takes any size at once, where a pipe would wait for a reader."""
    descriptor = os.memfd_create("darkroom-event")
    with open(descriptor, "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file


def _command(event: Event) -> list[bytes]:
    if event.hook.webhook:
        return [os.fsencode(sys.executable), b"-P", b"-m", b"daemon.hooks.webhook"]
    return words.filled(event.hook.command, event.values)


def _stdin(event: Event) -> bytes:
    if event.hook.webhook:
        return request(event.hook.webhook, event.hook.timeout, event.document())
    return event.document() + b"\n"


def _environment(event: Event) -> dict[bytes, bytes]:
    inherited = child_environment() if event.hook.webhook else dict(os.environ)
    kept = {name: value for name, value in inherited.items() if name not in NOT_FOR_HOOKS}
    told = {} if event.hook.webhook else words.environment_of(event.values)
    return {os.fsencode(name): os.fsencode(value) for name, value in kept.items()} | told
