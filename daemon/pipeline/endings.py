"""How a job leaves the pipeline: an error becomes its next move, and every end is recorded, counted and told."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from daemon.errors import BlockedError, DarkroomError, PermanentError
from daemon.ledger import Ledger, Move
from daemon.model import Job, Rule, State
from daemon.pipeline import stages
from daemon.pipeline.verdict import Blockades, verdict
from daemon.publishing import receipts
from daemon.rulebook import Rulebook, homeless

log = logging.getLogger("darkroom")

TELL_BLOCKED = 60.0  # seconds between two lines about the same rule being blocked


class Endings:
    """Thread-safe. `told(job, move)` hears of every job that leaves `running`, after the ledger has it."""

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        blockades: Blockades,
        *,
        told: Callable[[Job, Move], None],
        complain: Callable[[str], None],
    ) -> None:
        self._rulebook = rulebook
        self._ledger = ledger
        self._blockades = blockades
        self._told = told
        self._complain = complain
        self._told_blocked: dict[str, float] = {}
        self._count = threading.Lock()
        self.in_flight = 0
        """Jobs that were claimed and have not left."""
        self.slow = 0
        """Those of them that are tasks still at work: nobody waits for their results to publish them with others."""

    def expect(self, jobs: int, *, slow: bool = False) -> None:
        """So many were claimed, and will leave. `slow`: they are tasks; `worked` tells when one is through."""
        with self._count:
            self.in_flight += jobs
            self.slow += jobs if slow else 0

    def worked(self) -> None:
        """A task is through with its work; its job leaves soon, or has left."""
        with self._count:
            self.slow -= 1

    def fail(self, job: Job, rule: Rule, error: Exception) -> Move:
        """Decide what becomes of a job that met an error under the rule it was taken by, and record it. The move."""
        if not isinstance(error, DarkroomError):
            log.error("internal error with %s", job.path, exc_info=error)
            error = PermanentError(f"internal error ({type(error).__name__}: {error}); please report it")
        if isinstance(error, stages.Unwanted):
            move = Move(job.id, State.SKIPPED, str(error), repeats=error.repeats)
            self.finish([(job, move)])
            return move
        now = time.time()
        pause = self._block(self._named_now(job), error, now) if isinstance(error, BlockedError) else 0.0
        move = verdict(job, error, rule.retries, now, pause)
        if move.to is State.FAILED:
            receipts.write(self._ledger, self._rulebook.config.path, job, rule.output, error, self._complain)
        self.finish([(job, move)])
        return move

    def _block(self, rule: str, error: BlockedError, now: float) -> float:
        """Note that a rule is blocked, and tell of it if that is news. Seconds for which its job waits."""
        blockade, new = self._blockades.block(rule, str(error), now)
        if new and now - self._told_blocked.get(rule, 0.0) > TELL_BLOCKED:
            self._told_blocked[rule] = now
            self._complain(f"{rule}: {error}")
        return max(0.0, blockade.until - now)

    def finish(self, ended: Sequence[tuple[Job, Move]]) -> None:
        """Record these moves in one transaction, then count and tell them."""
        if not ended:
            return
        try:
            ended = [(job, self._kept_home(job, move)) for job, move in ended]
            self._ledger.advance([move for _, move in ended])
        except BlockedError as error:  # only when stopping: the jobs stay `running`, and a restart hands them back
            log.error("%s", error)
        for job, move in ended:
            self.ended(job, move)

    def _kept_home(self, job: Job, move: Move) -> Move:
        """A job that goes back to wait, and whose rule went meanwhile, would wait for ever: it is skipped instead."""
        if move.to is not State.WAITING or not self._rulebook.edited:
            return move
        rules = self._rulebook.rules
        # Asked of the ledger: the rule may have been renamed while the job was on its way.
        (now,) = self._ledger.jobs(ids=[job.id])
        reason = homeless(rules.get(now.rule), now, self._ledger.members([job.id]).get(job.id, ()))
        return move if reason is None else replace(move, to=State.SKIPPED, reason=reason, not_before=0.0, gone=True)

    def _named_now(self, job: Job) -> str:
        """What the rule of a job is called now; it may have been renamed while the job was on its way."""
        if self._rulebook.renamed:
            with contextlib.suppress(BlockedError):  # only when stopping
                return self._ledger.rules_of([job])[job.id]
        return job.rule

    def ended(self, job: Job, move: Move) -> None:
        """A job left, and the ledger has it: count and tell it, under the name that its rule has now."""
        with self._count:
            self.in_flight -= 1
        job = replace(job, rule=self._named_now(job))
        if move.to is State.DONE and self._blockades.lift(job.rule):
            self._complain(f"{job.rule}: works again")
        elif move.to in (State.FAILED, State.SKIPPED):
            self._blockades.undecided(job.rule, time.time())
        self._told(job, move)
