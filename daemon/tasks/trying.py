"""One try of one job: its pictures prepared, its task run on a worker, its result handed in, or its error decided."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from daemon.errors import DarkroomError, PermanentError, SourceChanged, SourceGone
from daemon.ledger import Move
from daemon.life.threads import beat
from daemon.model import Member, State
from daemon.pipeline import stages
from daemon.pipeline.work import Work
from daemon.publishing.placement import Encoded
from daemon.tasks import previews, results
from daemon.tasks.attempt import Attempt, Interrupted, OutOfMemory, TaskFailed, Why, WorkerKilled
from daemon.tasks.folder import Card, TaskFolder
from daemon.tasks.inputs import Inputs, prepare
from daemon.tasks.messages import Finished, Previewed, Ready, Report, Run, Stepped
from daemon.tasks.process import WorkerProcess
from daemon.tasks.view import TaskView
from kernels.chain import canonical, task_of

if TYPE_CHECKING:
    from daemon.tasks.host import TaskHost

LOOK = 0.25
"""Seconds between two looks into the ledger while a task runs."""
MOST_KILLS = 30
"""Kills of the worker in a row, without a further checkpoint between them, after which a try counts as failed."""
MAX_PAUSE = 8.0
"""Seconds between a kill of the worker and the next try, at most."""


class Try:
    """`worker()` gives a worker that is alive; it is asked once the pictures are ready."""

    def __init__(self, work: Work, host: TaskHost, worker: Callable[[], WorkerProcess]) -> None:
        task = task_of(work.rule.chain)
        assert task is not None
        self._work = work
        self._task = task
        self._host = host
        self._worker = worker
        self._folder = TaskFolder(host.folder / str(work.job.id))
        self._card = self._folder.card()
        self._preview = previews.Preview(work, self._folder, host.ledger, host.complain)
        self._attempt: Attempt | None = None
        self._looked = 0.0
        self._view = TaskView(work.job.id, work.rule.name, work.job.relative, time.time())

    def run(self) -> None:
        """Whatever happens to one job happens to it alone."""
        self._show(self._view)
        encoded: Encoded | None = None
        try:
            encoded = self._make()
        except Interrupted as interruption:
            self._interrupted(interruption)
        except Exception as error:  # noqa: BLE001 - one job must not end the thread; the ledger tells
            self._failed(error)
        finally:
            self._close()
        if encoded is not None:
            self._host.hand_in(encoded)

    def _close(self) -> None:
        self._host.endings.worked()
        self._host.views.pop(self._work.job.id, None)
        with contextlib.suppress(OSError):  # what is left here, the next start clears
            self._folder.close(keep_checkpoint=True)

    # -- the way of a task ---------------------------------------------------------------------------------------

    def _make(self) -> Encoded:
        members = self._members()
        (step,) = self._work.rule.chain
        given = Inputs(step, self._folder, self._host.config.runtime.max_pixels)
        roles = prepare(self._work, members, given)
        results.refuse_output(self._work, self._task, given.width, given.height)
        worker = self._worker()
        order = self._order(roles)
        self._attempt = Attempt(
            worker, order, hang=self._host.config.tasks.hang, wanted=self._unwanted, told=self._heard
        )
        self._show(replace(self._view, device=worker.device, worker=worker.pid))
        try:
            finished = self._attempt.run()
        finally:  # before the ledger has the end: a job that is over has no folder that tells where its preview lies
            with contextlib.suppress(OSError, DarkroomError):  # what is left here, the next start clears
                previews.remove(self._folder, self._host.ledger, self._work.job.path)
        return self._encode(finished, worker.device or "")

    def _members(self) -> tuple[Member, ...]:
        job = self._work.job
        alone = Member(self._task.inputs[0], job.path, job.fingerprint)
        members = self._host.ledger.members([job.id]).get(job.id, (alone,))
        (step,) = self._work.rule.chain
        roles = self._task.roles(dict(step.parameters))
        wanted = {each.role for each in self._work.rule.inputs} or {self._task.inputs[0]}
        if {member.role for member in members} != wanted:
            raise SourceChanged("the rule's inputs were changed since this job was made; a newer one takes its files")
        return tuple(sorted(members, key=lambda member: roles.index(member.role)))

    def _order(self, roles: tuple[str, ...]) -> Run:
        (step,), card = self._work.rule.chain, self._card
        # What a state depends on: with anything else it would not be this task's.
        parts = f"{canonical(self._work.rule.chain)} {self._work.content} {card.thrift} {version('torch')}"
        return Run(
            folder=str(self._folder.path),
            step=step.name,
            parameters=dict(step.parameters),
            roles=roles,
            key=hashlib.sha256(parts.encode()).hexdigest(),
            thrift=card.thrift,
            checkpoint=self._host.config.tasks.checkpoint,
            preview=self._work.rule.preview,
        )

    def _encode(self, finished: Finished, device: str) -> Encoded:
        results.take(self._work, finished, self._folder, device, self._task.savings[: self._card.thrift])
        return stages.encode_result(self._work)

    # -- while it runs -------------------------------------------------------------------------------------------

    def _unwanted(self) -> Why | None:
        beat()
        if self._host.stopping.is_set():
            return Why.STOPPING
        if (now := time.monotonic()) - self._looked < LOOK:
            return None
        self._looked = now
        return self._host.unwanted(self._work.job)

    def _heard(self, report: Report) -> None:
        if isinstance(report, Stepped):
            step, steps, losses, left = report.step, report.steps, report.losses, report.left
            self._show(replace(self._view, step=step, steps=steps, losses=losses, left=left))
        elif isinstance(report, Ready):
            self._show(replace(self._view, device=report.device))
        elif isinstance(report, Previewed):
            self._preview.show()

    def _show(self, view: TaskView) -> None:
        self._view = self._host.views[view.job] = view

    # -- endings -------------------------------------------------------------------------------------------------

    def _interrupted(self, stop: Interrupted) -> None:
        job = self._work.job
        if stop.why is Why.REPLACED:
            reason = stop.why.value
            with contextlib.suppress(DarkroomError):  # a ledger that does not answer now
                reason += f" (job {self._host.ledger.newest([job])[job.id]})"
            move = Move(job.id, State.SKIPPED, reason)
        elif stop.why is Why.CANCELLED:
            hint = f"; `darkroom retry {job.id}` goes on from there" if stop.step else ""
            move = Move(job.id, State.CANCELLED, f"{stop.why.value}: cancelled {stop.place}{hint}")
        else:
            move = Move(job.id, State.WAITING, f"handed back: {stop.why.value}, {stop.place}")
        self._host.endings.finish([(job, move)])

    def _failed(self, error: Exception) -> None:
        job, saved = self._work.job, self._attempt.saved if self._attempt else 0
        further = saved > self._card.reached
        card = Card(self._card.thrift, max(saved, self._card.reached), 0 if further else self._card.kills)
        if self._host.unwanted(job) is Why.CANCELLED:  # in the very moment in which it failed
            self._folder.write_card(card)
            self._interrupted(Interrupted(Why.CANCELLED, card.reached, self._view.steps))
            return
        if isinstance(error, OutOfMemory) and card.thrift < len(self._task.savings):
            self._try_again(Card(card.thrift + 1), f"{error}; tried again with {self._task.savings[card.thrift]}", 0.5)
            return
        if isinstance(error, WorkerKilled):
            card = replace(card, kills=card.kills + 1)
            if card.kills <= MOST_KILLS:
                pause = min(0.25 * 2**card.kills, MAX_PAUSE)
                place = f"its checkpoint at step {card.reached:,}" if card.reached else "the start"
                self._try_again(card, f"{error}; it goes on from {place}", pause)
                return
            error = TaskFailed(f"{error}, for the {card.kills}th time in a row")
        self._folder.write_card(replace(card, kills=0))
        move = self._host.endings.fail(replace(job, attempts=0) if further else job, self._work.rule, error)
        if isinstance(error, SourceChanged | SourceGone):
            self._host.look_again(job)  # now that the ledger has it: what is left of a group is a group again
        own_fault = isinstance(error, TaskFailed | PermanentError) or not isinstance(error, DarkroomError)
        if move.to is State.FAILED and own_fault:
            self._folder.close(keep_checkpoint=False)  # what led to the error must not be where the next try begins

    def _try_again(self, card: Card, reason: str, pause: float) -> None:
        """Put the job back for a try that does not count."""
        self._folder.write_card(card)
        job = self._work.job
        move = Move(job.id, State.WAITING, reason, attempts=job.attempts, not_before=time.time() + pause)
        self._host.endings.finish([(job, move)])
