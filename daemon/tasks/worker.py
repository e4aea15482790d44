"""The child that runs tasks: `python -m daemon.tasks.worker DEVICE THREADS MEMORY NICE`. The one that loads torch.

Orders come on standard input, reports go to what was standard output, both as lines (messages.py); what a task prints
goes to standard error. It ends when its input does: a daemon that is killed leaves nobody at work. The system is told
to take this process first when memory runs out, never the daemon.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import torch

from daemon.errors import BlockedError
from daemon.life.allocator import give_pages_back, keep_pages
from daemon.shown import say
from daemon.tasks.messages import Alive, Failed, ProtocolError, Ready, Report, Run, Stop, line_of, order_of
from daemon.tasks.running import Running
from kernels.tasks import TaskBlocked, TaskRefused, TaskStarved

HEARTBEAT = 1.0
"""Seconds between two signs of life."""
OOM_SCORE = 600
"""Of 1000, added to what the kernel makes of a process when memory runs out and one must go."""


class Worker:
    """Reads orders and reports, until its input ends."""

    def __init__(self, orders: BinaryIO, reports: BinaryIO, device: torch.device) -> None:
        self._input = orders
        self._output = reports
        self._device = device
        self._speaking = threading.Lock()
        self._stop = threading.Event()
        self._orders: queue.Queue[Run] = queue.Queue(1)

    def serve(self) -> None:
        """Run task after task. Does not return: the end of the input ends the process."""
        for body in (self._listen, self.beat):
            threading.Thread(target=body, daemon=True).start()
        self._tell(Ready(str(self._device)))
        while True:
            order = self._orders.get()
            self._tell(self.run(order))

    def run(self, order: Run) -> Report:
        """Run one task to its end, whatever that is; the last report."""
        try:
            return Running(order, self._device, self._tell, self._stop).run()
        except TaskRefused as error:
            return Failed("refused", str(error))
        except TaskBlocked as error:
            return Failed("blocked", str(error))
        except TaskStarved as error:
            return Failed("starved", str(error))
        except OSError as error:
            return _of_disk(error, order)
        except BlockedError as error:  # from the task's folder
            return (
                _of_disk(error.__cause__, order) if isinstance(error.__cause__, OSError) else Failed("disk", str(error))
            )
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its end, and told
            kind = "memory" if _out_of_memory(error) else "error"
            return Failed(kind, _in_a_line(error))
        finally:
            give_pages_back()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _listen(self) -> None:
        """Orders are heard while a task runs. Whatever ends the hearing ends the process, at once."""
        try:
            for line in self._input:
                order = order_of(line)
                if isinstance(order, Stop):
                    self._stop.set()
                else:
                    self._stop.clear()
                    self._orders.put(order)
        except (ProtocolError, OSError) as error:
            say(error, error=True)
        os._exit(0)

    def beat(self) -> None:
        """Give signs of life, for ever."""
        while True:
            time.sleep(HEARTBEAT)
            self._tell(Alive())

    def _tell(self, report: Report) -> None:
        try:
            with self._speaking:
                self._output.write(line_of(report))
                self._output.flush()
        except OSError:
            os._exit(0)  # nobody listens any more


def _of_disk(error: OSError, order: Run) -> Failed:
    return Failed("disk", f"{error.filename or order.folder}: {error.strerror or error}", error.errno)


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()  # the processor's allocator raises a plain RuntimeError
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def _in_a_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _yield_to_others(memory: int, nice: int) -> None:
    with contextlib.suppress(OSError):
        os.nice(nice)
    with contextlib.suppress(OSError):
        # A session is scheduled as one, and within it alone the number above counts (sched(7), autogroup).
        if nice and os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(nice))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    if memory:
        # Data, not address space: libraries of cards reserve a hundred times what they use.
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.empty(1, device=name).device  # a card that cannot be used says so here


def main() -> None:
    """Serve the daemon that started this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then ends us in good order
    device, threads, memory, nice = sys.argv[1:5]
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _yield_to_others(int(memory), int(nice))
    keep_pages()  # a hybrid of 512×512 takes 2.6 s so, and 3.5 to 4.3 if each step zeroes its pages anew
    # Always the same number: sums depend on how they are split, and a task taken up again must give the same picture.
    torch.set_num_threads(int(threads))
    Worker(sys.stdin.buffer, reports, _device(device)).serve()


if __name__ == "__main__":
    main()
