"""The thread that starts hooks and looks after them. Whatever they do, and however long, pictures go on meanwhile."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from itertools import islice

from daemon.asking.answers import read_ledger
from daemon.asking.promptly import WITHIN, Promptly
from daemon.errors import DarkroomError
from daemon.hooks.events import Event, Failure
from daemon.hooks.failures import Failures
from daemon.hooks.process import HookProcess
from daemon.hooks.stretches import Stretches
from daemon.ledger import Move
from daemon.life.threads import Threads
from daemon.model import Config, Job, Rule, State, unfinished
from daemon.rulebook import Rulebook
from daemon.unit.closed import no_network

AT_ONCE = 8
"""Hooks that run at the same time, at most, of all rules together. Of one rule there is one at a time."""
LOOK = 0.05
"""Seconds between two looks at a hook that runs."""
REST = 1.0
STOP_WITHIN = 1.0
"""Seconds that hooks get to end, and to be told what is left, when darkroom stops."""

log = logging.getLogger("darkroom")


class Hooks:
    """`note` is told of every job that ends, from any thread, and returns at once."""

    def __init__(self, rulebook: Rulebook, complain: Callable[[str], None]) -> None:
        self._rulebook = rulebook
        self._complain = complain
        self._lock = threading.Lock()
        self._failures = Failures()
        self._stretches = Stretches()
        self._names: dict[str, str] = {}
        self._running: dict[str, HookProcess] = {}
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._deadline: float | None = None
        self._threads = Threads()
        self._ledger = Promptly("ledger-hooks")

    # -- called by others ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._threads.start("hooks", self._run)

    def note(self, job: Job, move: Move) -> None:
        """A job ended, or goes back to wait."""
        rules = self._rulebook.rules
        rule = rules.get(job.rule) or rules.get(self._names.get(job.rule, ""))
        if rule is None or (rule.on_failure is None and rule.on_idle is None):
            return
        with self._lock:
            self._stretches.note(rule, move.to, time.monotonic())
            if move.to is State.FAILED:
                self._failures.note(rule, Failure(job, move.reason, time.time()))
                self._wake.set()

    def renamed(self, names: Mapping[str, str]) -> None:
        """Rules have new names, given by the old: jobs at work still carry those."""
        with self._lock:
            self._names = {old: names.get(new, new) for old, new in self._names.items()} | dict(names)
            self._failures.renamed(names)
            self._stretches.renamed(names)

    def finish(self, hurry: Callable[[], bool]) -> None:
        """No more jobs end. Tell what is left, each hook within its time-out; in a `hurry` all within STOP_WITHIN."""
        self._hurry_if(hurry())  # before it ends: else it would tell of rules that are idle
        self._ending.set()
        self._wake.set()
        while not self._threads.join(0.02):
            self._hurry_if(hurry())
            # The thread ends by itself by then, unless the ledger's disk or the system keeps it.
            if self._deadline is not None and time.monotonic() > self._deadline + WITHIN:
                self._complain("hooks: not ended; what they had to tell may be lost")
                return

    def _hurry_if(self, hurry: bool) -> None:
        if hurry and self._deadline is None:
            self._deadline = time.monotonic() + STOP_WITHIN

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over():
            self._wake.wait(self._pause())
            self._wake.clear()
            try:
                self._step(time.monotonic())
            except Exception as error:  # no hook is worth the pictures
                log.error("internal error with hooks", exc_info=error)
                self._complain(f"hooks: internal error ({type(error).__name__}: {error}); please report it")
                if self._ending.wait(REST):
                    break
        self._give_up()

    def _over(self) -> bool:
        if not self._ending.is_set():
            return False
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return late or not (self._running or self._left())

    def _left(self) -> bool:
        """Whether anything is left to be told at the end. A daemon that is stopped is not idle: it has ended."""
        with self._lock:
            return self._failures.next_due() < float("inf") or (
                self._deadline is None and self._stretches.next_due() < float("inf")
            )

    def _pause(self) -> float:
        if self._running or self._ending.is_set():
            return LOOK
        with self._lock:
            due = min(self._failures.next_due(), self._stretches.next_due())
        return min(REST, max(LOOK, due - time.monotonic()))

    def _step(self, now: float) -> None:
        for name, process in list(self._running.items()):
            if (trouble := process.look(now)) is not None:
                del self._running[name]
                if trouble:
                    closed = no_network()
                    self._complain(f"{process.event.place}: {trouble}" + (f"; {closed}" if closed else ""))
        ending = self._ending.is_set()
        with self._lock:
            failed = list(islice(self._failures.due(now, self._running, at_once=ending), self._room))
        self._start(failed)
        if self._deadline is None:
            self._start(self._idle(now, at_once=ending))

    @property
    def _room(self) -> int:
        return AT_ONCE - len(self._running)

    def _start(self, events: Iterable[Event]) -> None:
        for event in events:  # not under the lock: starting a process takes a while
            try:
                process = HookProcess(event, self._rulebook.config.path.parent, time.monotonic())
            except OSError as error:
                self._complain(f"{event.place}: cannot be started ({error.strerror}); `darkroom doctor` looks for it")
            else:
                self._running[event.rule] = process

    def _give_up(self) -> None:
        """What is not through by now is ended, and said."""
        for process in self._running.values():
            process.kill()
            self._complain(f"{process.event.place}: ended because darkroom stops; it was to tell {process.event.told}")
        with self._lock:
            for event in self._failures.rest():
                self._complain(f"{event.place}: not told, because darkroom stops: {event.told}")

    # -- idle ----------------------------------------------------------------------------------------------------

    def _idle(self, now: float, *, at_once: bool) -> list[Event]:
        with self._lock:
            quiet = [name for name in self._stretches.quiet(now, at_once=at_once) if name not in self._running]
        if not quiet[: self._room]:
            return []
        working, rules = self._with_work(), self._rulebook.rules
        events = (self._closed(name, rules.get(name), now, working) for name in quiet[: self._room])
        return [event for event in events if event is not None]

    def _closed(self, name: str, rule: Rule | None, now: float, working: frozenset[str] | None) -> Event | None:
        with self._lock:
            if rule is None:
                self._stretches.forget(name)
            elif (working is None or name in working) and not self._ending.is_set():
                self._stretches.goes_on(rule, now)
            elif working is None or name in working:
                self._stretches.forget(name)  # with `--once`: what is left cannot be done
            else:
                return self._stretches.close(rule, time.time())
        return None

    def _with_work(self) -> frozenset[str] | None:
        """Rules with jobs that wait or run, but for groups that are not whole; None: there is no telling now."""
        config = self._rulebook.config
        with contextlib.suppress(DarkroomError):
            return self._ledger.ask(lambda: _with_work(config), config.state_dir)
        return None


def _with_work(config: Config) -> frozenset[str] | None:
    if (ledger := read_ledger(config.state_dir, timeout=WITHIN)) is None:
        return None
    with closing(ledger):
        counts, incomplete, again = ledger.counts(), ledger.incomplete(), ledger.counts()
    # A rule that was counted differently has work: only if nothing moved are both of the same moment.
    return frozenset(
        name
        for name, states in again.items()
        if states != counts.get(name) or unfinished(states) > incomplete.get(name, 0)
    )
