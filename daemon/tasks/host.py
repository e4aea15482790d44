"""Runs the jobs of rules with a task: so many at a time, each on a worker of its own, beside the pipeline."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping

from daemon.claiming import Claiming
from daemon.endings import Endings
from daemon.errors import BlockedError, DarkroomError
from daemon.graphs import recipe_key
from daemon.ledger import Ledger, Move
from daemon.model import Config, Job, State
from daemon.placement import Encoded
from daemon.tasks import previews
from daemon.tasks.attempt import Why
from daemon.tasks.folder import TaskFolder
from daemon.tasks.slot import Slot
from daemon.tasks.view import TaskView
from daemon.verdict import Blockades
from daemon.work import Recipe, Work
from kernels.chain import canonical

log = logging.getLogger("darkroom")

WAIT = 0.5
"""Seconds after which a slot without work looks for some, whatever it was told (law 6)."""
CLOSED = (State.DONE, State.SKIPPED)
"""How a job ends that will not be taken up again: nothing of its task is kept."""


class TaskHost:
    """The slots and what they share. Nothing is started, and no thread made, where no rule has a task.

    `hand_in(encoded)` publishes a result; `look_again(job)` has the files of a job looked at anew.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        blockades: Blockades,
        endings: Endings,
        *,
        hand_in: Callable[[Encoded], None],
        look_again: Callable[[Job], None],
        complain: Callable[[str], None],
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.endings = endings
        self.hand_in = hand_in
        self.look_again = look_again
        self.complain = complain
        self.folder = config.state_dir / "tasks"
        rules = {rule.name: rule for rule in config.rules if rule.is_task}
        recipes: Mapping[str, Recipe] = {
            name: Recipe(None, recipe_key(canonical(rule.chain), rule)) for name, rule in rules.items()
        }
        self._claiming = Claiming(rules, ledger, blockades, recipes.get)
        self._lock = threading.Lock()
        self._feed = threading.Event()
        self.stopping = threading.Event()
        self.fatal: list[BaseException] = []
        self.views: dict[int, TaskView] = {}
        self._threads = list[threading.Thread]()
        slots = config.tasks.concurrency if rules else 0
        self._slots = [Slot(number, self, max(1, len(os.sched_getaffinity(0)) // slots)) for number in range(slots)]

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Clear what a killed run left, then work."""
        self._clear()
        for number, slot in enumerate(self._slots):
            thread = threading.Thread(target=self._guard, args=(slot.run,), name=f"task-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guard(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            log.error("thread %s ended", threading.current_thread().name, exc_info=error)
            self.fatal.append(error)

    def _clear(self) -> None:
        """Files of jobs that are over; previews of tasks that do not run."""
        with contextlib.suppress(FileNotFoundError):
            names = [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]
            known = {job.id: job.state for job in self.ledger.jobs(ids=names)} if names else {}
            for name in names:
                folder = TaskFolder(self.folder / str(name))
                previews.remove(folder, self.ledger)
                folder.close(keep_checkpoint=known.get(name, State.DONE) not in CLOSED)

    def wake(self) -> None:
        """There may be jobs to claim."""
        self._feed.set()

    def stop(self) -> None:
        """Let no task begin another step. Their jobs go back to the ledger; `join` waits for that."""
        self.stopping.set()
        self._feed.set()

    def join(self, timeout: float) -> bool:
        """Wait for the slots to be empty; whether they are."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

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
