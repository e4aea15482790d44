"""One worker process, seen from the daemon: started, spoken to, listened to, ended. Loads no torch."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from daemon.errors import writing_failed
from daemon.options import TaskOptions
from daemon.tasks.messages import Order, ProtocolError, Ready, Report, line_of, report_of
from export.store import child_environment

READ = 1 << 16
ENDED_BY_OTHERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""How threads of PyTorch wait for each other: they spin for some microseconds, then sleep.

Left to spin they take turns with whatever else wants the cores: ten steps of a hybrid took 2.3–13 s on a busy machine.
If they slept at once, waking them would take as long as the small steps of a network do: style transfer at 256×256
takes 43 ms a step so, and 25 with this (docs/performance.md).
"""


class WorkerDied(Exception):
    """The worker is no more. `killed`: somebody ended it; `starved`: the system did, which had no memory left."""

    def __init__(self, text: str, *, killed: bool = False, starved: bool = False) -> None:
        super().__init__(text)
        self.killed = killed
        self.starved = starved


class WorkerProcess:
    """A child that loads PyTorch and then follows orders. `log` is the file its standard error goes to.

    `threads` are those PyTorch may use, `nice` is added to the priority number: 19 yields to everybody.
    `device` is what it computes on, None until PyTorch is loaded; `heard` when it last said anything, monotonic;
    `bounded` whether `tasks.memory` bounds what it may have.
    Raises BlockedError if it cannot be started.
    """

    def __init__(self, options: TaskOptions, threads: int, log: Path, *, nice: int = 0) -> None:
        numbers = [str(threads), str(options.memory), str(nice)]
        command = [sys.executable, "-P", "-m", "daemon.tasks.worker", options.device, *numbers]
        self._log = log
        self._lines = deque[bytes]()
        self._rest = b""
        self._starved_before = _kills_for_memory()
        pipe = subprocess.PIPE
        try:
            with log.open("wb") as errors:
                # A session of its own: Ctrl-C in the terminal is for the daemon.
                self._child = subprocess.Popen(
                    command, env=_environment(), stdin=pipe, stdout=pipe, stderr=errors, start_new_session=True
                )
        except OSError as error:
            raise writing_failed(str(log), error) from error
        self.heard = time.monotonic()
        self.device: str | None = None
        self.bounded = options.memory > 0

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def send(self, order: Order) -> None:
        """Give an order. Raises WorkerDied."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line_of(order))
            self._child.stdin.flush()
        except OSError:
            raise self._obituary() from None

    def receive(self, timeout: float) -> Report | None:
        """The next report; None if there is none within `timeout` seconds. Raises WorkerDied."""
        assert self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        if not self._lines and select.select([descriptor], [], [], max(0.0, timeout))[0]:
            data = os.read(descriptor, READ)
            if not data:
                raise self._obituary()
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines += lines
        if not self._lines:
            return None
        self.heard = time.monotonic()
        try:
            report = report_of(self._lines.popleft())
        except ProtocolError as error:
            self.kill()
            raise WorkerDied(str(error)) from error
        if isinstance(report, Ready):
            self.device = report.device
        return report

    def _obituary(self) -> WorkerDied:
        """How it ended. Its pipe is closed, so it has ended or is about to."""
        try:
            status = self._child.wait(2.0)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerDied("it closed its connection")
        if status >= 0:
            return WorkerDied(f"it ended with {status}: {self._last_words()}")
        number = -status
        if number == signal.SIGKILL and _kills_for_memory() > self._starved_before:
            return WorkerDied("the system killed it for want of memory", starved=True)
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        return WorkerDied(f"it was ended by {name}", killed=number in ENDED_BY_OTHERS)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else "it said nothing"
        return "it said nothing"

    def end(self, timeout: float = 1.0) -> None:
        """Let it go in peace, or else by force."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _environment() -> dict[str, str]:
    return {**WAITING, **child_environment()}


def _kills_for_memory() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return 0
