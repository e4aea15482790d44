"""One try of one task on a worker: the order given, the reports followed, the end told as a value or an error."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable

from daemon.errors import BlockedError, DarkroomError, PermanentError, TransientError, writing_failed
from daemon.tasks.messages import Failed, Finished, Ready, Report, Run, Saved, Stepped, Stop, Stopped
from daemon.tasks.process import WorkerDied, WorkerProcess

LOOK = 0.1
"""Seconds between two looks at whether the task is still wanted."""
STOP_WITHIN = 1.0
"""Seconds that a worker has to end its step and save; then it is killed, and the checkpoint before that one stands."""
SILENT = 60.0
"""Seconds without a sign of life after which a worker is taken for dead: it beats every second."""
START_WITHIN = 180.0
"""Seconds that loading PyTorch may take on a machine that is busy."""


class Why(enum.Enum):
    """Why a task is no longer to be run, as far as it is not the task's own doing."""

    STOPPING = "darkroom was stopped"
    CANCELLED = "asked for by the user"
    REPLACED = "replaced by newer content while it ran"


class Interrupted(Exception):
    """A task was given up because it is not wanted now; `step` of `steps` were made, 0 if none was."""

    def __init__(self, why: Why, step: int, steps: int) -> None:
        super().__init__(why.value)
        self.why, self.step, self.steps = why, step, steps

    @property
    def place(self) -> str:
        """Where it stopped, in words."""
        return f"at step {self.step:,} of {self.steps:,}" if self.step else "before its first step"


class OutOfMemory(TransientError):
    """The task needs more memory than there is; it may do with less."""

    kind = "memory"


class TooLittleMemory(TransientError):
    """There is not enough for the task however modest it is; there may be later."""

    kind = "memory"


class TaskFailed(TransientError):
    """The task raised an error that is no known one of its inputs or of the machine."""

    kind = "task"


class WorkerKilled(DarkroomError):
    """Somebody killed the worker from outside: no fault of the task, which goes on from its checkpoint."""

    kind = "killed"


class Attempt:
    """A try. `wanted()` is asked all the time and says why the task is not wanted any more; `told` gets each report."""

    def __init__(
        self,
        worker: WorkerProcess,
        order: Run,
        *,
        hang: float,
        wanted: Callable[[], Why | None],
        told: Callable[[Report], None],
    ) -> None:
        self._worker = worker
        self._order = order
        self._hang = hang
        self._wanted = wanted
        self._told = told
        self._step = self._steps = 0
        self._moved = time.monotonic()
        self.saved = 0
        """The step of the last checkpoint that this try made."""

    def run(self) -> Finished:
        """Follow the task to its end. A worker that is at fault, or not followed to that end, is ended.

        Raises Interrupted, OutOfMemory, TooLittleMemory, WorkerKilled, TaskFailed, and TransientError, PermanentError
        or BlockedError by what the worker met, and whatever `wanted` and `told` raise.
        """
        try:
            report = self._follow()
        except WorkerDied as death:
            self._worker.kill()
            raise self._died(death) from death
        except Interrupted:
            raise
        except BaseException:  # it is still at this task: the next one would hear reports of this one
            self._worker.kill()
            raise
        if isinstance(report, Failed):
            raise self._failed(report)
        return report

    def _follow(self) -> Finished | Failed:
        self._worker.send(self._order)
        while True:
            if (why := self._wanted()) is not None:
                raise self._interrupt(why)
            report = self._worker.receive(LOOK)
            if isinstance(report, Finished | Failed):
                return report
            self._take(report)
            self._see_that_it_lives()

    def _take(self, report: Report | None) -> None:
        if isinstance(report, Stepped):
            self._step, self._steps, self._moved = report.step, report.steps, time.monotonic()
        elif isinstance(report, Ready):
            self._moved = time.monotonic()  # loading PyTorch is not the task's time
        elif isinstance(report, Saved):
            self.saved = report.step
        if report is not None:
            self._told(report)

    def _see_that_it_lives(self) -> None:
        """Raises TransientError for a worker that hangs, after killing it."""
        now = time.monotonic()
        patience, silence = (SILENT, self._hang) if self._worker.device else (START_WITHIN, START_WITHIN)
        if now - self._worker.heard > patience:
            text = f"the worker gave no sign of life for {patience:.0f} s and was ended"
        elif now - self._moved > silence:
            text = f"it hung: no step within {silence:g} s after step {self._step}, and was ended; see tasks.hang"
        else:
            return
        self._worker.kill()
        raise TransientError(text)

    def _interrupt(self, why: Why) -> Interrupted:
        """Have the task stopped, by force if need be."""
        deadline = time.monotonic() + STOP_WITHIN
        if self._worker.device is not None:
            self._worker.send(Stop())
            while (left := deadline - time.monotonic()) > 0:
                report = self._worker.receive(left)
                if isinstance(report, Stopped):
                    return Interrupted(why, report.step, report.steps)
                if isinstance(report, Finished | Failed):
                    return Interrupted(why, self.saved, self._steps)
                self._take(report)
        self._worker.kill()
        return Interrupted(why, self.saved, self._steps)

    def _failed(self, report: Failed) -> DarkroomError:
        if report.kind == "memory":
            return OutOfMemory(f"out of memory ({report.text})")
        if report.kind == "refused":
            return PermanentError(report.text)
        if report.kind == "blocked":
            return BlockedError(report.text)
        if report.kind == "starved":
            return TooLittleMemory(report.text)
        if report.kind == "disk":
            return writing_failed(self._order.folder, OSError(report.errno or 0, report.text))
        return TaskFailed(f"{report.text}, at step {self._step + 1}")

    def _died(self, death: WorkerDied) -> DarkroomError:
        if self._worker.device is None and not death.killed:
            remedy = "raise tasks.memory, or see" if self._worker.bounded else "see"
            return BlockedError(f"the PyTorch worker does not start: {death}; {remedy} `darkroom doctor`")
        place = f"after step {self._step:,} of {self._steps:,}" if self._step else "before the first step"
        if death.starved:
            return OutOfMemory(f"{death}, {place}")
        if death.killed:
            return WorkerKilled(f"the worker died {place}: {death}")
        return TransientError(f"the worker died {place}: {death}")
