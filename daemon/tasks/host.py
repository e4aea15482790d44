"""Runs the jobs of rules with a task: so many at a time, each on a worker of its own, beside the pipeline."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from daemon.errors import BlockedError, DarkroomError
from daemon.graphs import recipe_key
from daemon.ledger import Ledger, Move
from daemon.life.threads import Threads
from daemon.model import Job, Rule, State
from daemon.pipeline.claiming import Claiming
from daemon.pipeline.endings import Endings
from daemon.pipeline.meters import NO_METERS, Meters
from daemon.pipeline.verdict import Blockades
from daemon.pipeline.work import Recipe, Work
from daemon.publishing.placement import Encoded
from daemon.rulebook import Rulebook
from daemon.tasks import previews
from daemon.tasks.attempt import Why
from daemon.tasks.folder import TaskFolder
from daemon.tasks.slot import Slot
from daemon.tasks.view import TaskView
from kernels.chain import canonical

WAIT = 0.5
"""Seconds after which a slot without work looks for some, whatever it was told (law 6)."""
SLOT_WITHIN = 600.0
"""Seconds without a round after which a slot hangs: while a task runs it has some a second, before and after it are
pictures to read and to write."""
CLOSED = (State.DONE, State.SKIPPED)
"""How a job ends that will not be taken up again: nothing of its task is kept."""


class TaskHost:
    """The slots and what they share. No thread is made before a rule has a task.

    `hand_in(encoded)` publishes a result; `look_again(job)` has the files of a job looked at anew.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        blockades: Blockades,
        endings: Endings,
        *,
        hand_in: Callable[[Encoded], None],
        look_again: Callable[[Job], None],
        complain: Callable[[str], None],
        meters: Meters = NO_METERS,
    ) -> None:
        self.meters = meters
        self.config = config = rulebook.config
        self._rulebook = rulebook
        self.ledger = ledger
        self.endings = endings
        self.hand_in = hand_in
        self.look_again = look_again
        self.complain = complain
        self.folder = config.state_dir / "tasks"
        self._claiming = Claiming(rulebook, ledger, blockades, _recipe_of, task=True)
        self._lock = threading.Lock()
        self._feed = threading.Event()
        self.stopping = threading.Event()
        self.views: dict[int, TaskView] = {}
        self.threads = Threads()
        self._started = False

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Clear what a killed run left, then work."""
        self._clear()
        self.look_for_tasks()

    def look_for_tasks(self) -> None:
        """Start the slots, once there is a rule for them. They stay when it goes: a task of it may be at work."""
        if self._started or self.stopping.is_set() or not any(rule.is_task for rule in self._rulebook.rules.values()):
            return
        self._started = True
        slots = self.config.tasks.concurrency
        threads = max(1, len(os.sched_getaffinity(0)) // slots)
        for number in range(slots):
            self.threads.start(f"task-{number}", Slot(number, self, threads).run, within=SLOT_WITHIN)

    def _clear(self) -> None:
        """Files of jobs that are over; previews of tasks that do not run."""
        with contextlib.suppress(FileNotFoundError):
            names = [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]
            known = {job.id: job for job in self.ledger.jobs(ids=names)} if names else {}
            for name in names:
                folder, job = TaskFolder(self.folder / str(name)), known.get(name)
                if job is not None:
                    previews.remove(folder, self.ledger, job.path)
                folder.close(keep_checkpoint=job is not None and job.state not in CLOSED)

    def wake(self) -> None:
        """There may be jobs to claim."""
        self._feed.set()

    def stop(self) -> None:
        """Let no task begin another step. Their jobs go back to the ledger; `join` waits for that."""
        self.stopping.set()
        self._feed.set()

    def join(self, timeout: float) -> bool:
        """Wait for the slots to be empty; whether they are."""
        return self.threads.join(timeout)

    # -- what the slots ask --------------------------------------------------------------------------------------

    def claim(self) -> Work | None:
        """The next job, now `running`; None after a while without any."""
        self._feed.clear()
        try:
            with self._lock:
                works = [] if self.stopping.is_set() else self._claiming.claim(1)
        except BlockedError as error:
            self.complain(str(error))
            works = []
        if not works:
            self._feed.wait(WAIT)
            return None
        self.endings.expect(1, slow=True)
        return works[0]

    def unwanted(self, job: Job) -> Why | None:
        """Why a running job is not to go on, if so."""
        if self.stopping.is_set():
            return Why.STOPPING
        with contextlib.suppress(DarkroomError):  # a ledger that does not answer is no reason to stop
            if self.ledger.cancel_asked(job.id):
                return Why.CANCELLED
            if self.ledger.newest([job])[job.id] != job.id:
                return Why.REPLACED
        return None

    # -- what others ask -----------------------------------------------------------------------------------------

    def ended(self, job: Job, move: Move) -> None:
        """A job left `running`, and the ledger has it: what its task kept is not needed if that was its end."""
        if move.to in CLOSED:
            TaskFolder(self.folder / str(job.id)).close(keep_checkpoint=False)

    def running(self) -> list[TaskView]:
        """The tasks that run now, oldest job first."""
        return [view for _, view in sorted(self.views.copy().items())]


def _recipe_of(rule: Rule) -> Recipe:
    return Recipe(None, recipe_key(canonical(rule.chain), rule))
