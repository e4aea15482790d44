"""The stages of one daemon, put together: who is told of what, and what all of them together have left to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from daemon.errors import BlockedError, DarkroomError
from daemon.graphs import Graphs
from daemon.groups.grouping import look_again
from daemon.hooks.firing import Hooks
from daemon.intake.intake import Intake
from daemon.journal.tally import Tally
from daemon.ledger import Ledger, Move
from daemon.life.patience import GIVE_UP
from daemon.metrics import Metrics
from daemon.model import Config, Job, State, unfinished
from daemon.pipeline.pipeline import Pipeline
from daemon.report.reporter import Reporter
from daemon.rulebook import Rulebook
from daemon.runtime import Runtime
from daemon.tasks.host import TaskHost
from daemon.unit.closed import closed


class Assembly:
    """Nothing of it works before it is started. Raises DarkroomError where the ledger or the device cannot be had."""

    def __init__(
        self, rulebook: Rulebook, *, complain: Callable[[str], None], patience: Callable[[BlockedError], bool]
    ) -> None:
        config = rulebook.config
        self._rulebook = rulebook
        self._complain = complain
        self._closed = dict[str, str]()
        self.tally = Tally()
        self.hooks = Hooks(rulebook, complain)
        self.metrics = Metrics(config.metrics, complain)
        self.ledger = Ledger(config.state_dir / "ledger.db", patience=patience)
        self.runtime = _runtime(config, complain)
        self.graphs = Graphs(rulebook, self.runtime, complain=complain, ready=self.wake)
        self.reporter = Reporter(rulebook, self.ledger, complain)
        self.intake = Intake(
            rulebook,
            self.ledger,
            complain=complain,
            arrived=self.wake,
            ended=self._note,
            meters=self.metrics.meters,
        )
        self.pipeline = Pipeline(
            rulebook,
            self.ledger,
            self.runtime,
            recipe_of=self.graphs.recipe_of,
            ended=self._ended,
            look_again=self._look_again,
            complain=complain,
            meters=self.metrics.meters,
        )
        self.host = TaskHost(
            rulebook,
            self.ledger,
            self.pipeline.blockades,
            self.pipeline.endings,
            hand_in=self.pipeline.hand_in,
            look_again=self._look_again,
            complain=complain,
            meters=self.metrics.meters,
        )

    # -- who is told of what -------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be jobs to claim."""
        self.pipeline.wake()
        self.host.wake()

    def adopt(self, config: Config, adopted: Callable[[Mapping[str, str]], None]) -> None:
        """Put a configuration in force: by the intake, then whoever keeps something for each rule sees to it.

        `adopted` is called then, with the new names, by the old, of rules that were only renamed.
        """

        def in_force(renamed: Mapping[str, str]) -> None:
            self.graphs.look_for_new()
            self.pipeline.blockades.keep(self._rulebook.rules)
            self.look_at_folders()
            self.host.look_for_tasks()
            self.hooks.renamed(renamed)
            self.wake()
            adopted(renamed)

        self.intake.adopt(config, in_force)

    def _ended(self, job: Job, move: Move) -> None:
        self._note(job, move)
        self.host.ended(job, move)

    def _note(self, job: Job, move: Move) -> None:
        self.tally.note(job, move)
        self.metrics.meters.ended(job, move)
        self.hooks.note(job, move)

    def _look_again(self, job: Job) -> None:
        look_again(self.ledger, self.intake.hints, job)

    def look_at_folders(self) -> None:
        """Tell of folders that the unit of this service keeps from it."""
        self._closed = closed(self._rulebook.rules.values())
        for line in self._closed.values():
            self._complain(line)

    # -- what is left --------------------------------------------------------------------------------------------

    def blocked(self) -> dict[str, str]:
        """Rules whose jobs wait for their surroundings, and why."""
        return self.pipeline.blockades.reasons() | self.graphs.trouble() | self._closed

    def open_jobs(self) -> int:
        """Jobs that go on by themselves; where the ledger cannot tell, those in flight."""
        try:
            return max(0, self.open_in(self.ledger.counts()))
        except DarkroomError:
            return self.pipeline.in_flight

    def open_in(self, counts: Mapping[str, Mapping[State, int]]) -> int:
        """Jobs of our rules that go on. One that was claimed is `running` in the same transaction.

        Groups that are not whole do not. They are counted after `counts`: if one comes between, that has changed.
        """
        incomplete = self.ledger.incomplete()
        names = self._rulebook.rules
        return sum(unfinished(counts.get(name, {})) - incomplete.get(name, 0) for name in names)

    def finished(self) -> bool:
        """For `run --once`: whether nothing is left to do, or nothing that can be done."""
        counts = self.ledger.counts()
        if self.pipeline.in_flight or not self.intake.settled:
            return False
        if self.open_in(counts) <= 0:
            # Between the looks above a job may have come, and gone back to wait, but not without being counted.
            return self.ledger.counts() == counts and self.intake.settled
        if set(self.graphs.missing()) - set(self.graphs.trouble()):
            self.tally.progressed = time.monotonic()  # a compiler may take longer than GIVE_UP: its end is progress
        return time.monotonic() - self.tally.progressed > GIVE_UP


def _runtime(config: Config, tell: Callable[[str], None]) -> Runtime:
    options = config.runtime
    return Runtime(
        options.device, options.workers, memory=options.memory, cache=config.state_dir / "tensorrt", tell=tell
    )
