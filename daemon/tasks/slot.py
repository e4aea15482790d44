"""One place where a task runs: a thread, with a worker that is started for work and ended when there is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from daemon.folders import make_folder
from daemon.life.threads import beat
from daemon.pipeline.meters import Stage
from daemon.tasks.process import WorkerProcess
from daemon.tasks.trying import Try

if TYPE_CHECKING:
    from daemon.tasks.host import TaskHost


NICE = 10
"""Pictures on the fast lane go first: a task has time, and a mosaic that waits has a user who does."""


class Slot:
    """Works off one task after another. `threads` are those that PyTorch may use."""

    def __init__(self, number: int, host: TaskHost, threads: int) -> None:
        self._host = host
        self._threads = threads
        self._log = host.folder / f"worker-{number}.log"
        self._worker: WorkerProcess | None = None
        self._idle_since = time.monotonic()

    def run(self) -> None:
        """Until the host stops."""
        try:
            while not self._host.stopping.is_set():
                beat()
                if (work := self._host.claim()) is not None:
                    with self._host.meters.timed(Stage.TASK):
                        Try(work, self._host, self.worker).run()
                    self._idle_since = time.monotonic()
                elif time.monotonic() - self._idle_since > self._host.config.tasks.idle:
                    self._end_worker()
        finally:
            self._end_worker()

    def worker(self) -> WorkerProcess:
        """The worker, started if need be. Raises DarkroomError."""
        if self._worker is None or not self._worker.alive:
            self._end_worker()
            make_folder(self._host.folder)
            self._worker = WorkerProcess(self._host.config.tasks, self._threads, self._log, nice=NICE)
        return self._worker

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None
