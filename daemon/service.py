"""The life of the daemon: start, one loop that acts, a clean end."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from daemon import folders
from daemon.asking import whereabouts
from daemon.asking.live_status import LiveStatus
from daemon.assembly import Assembly
from daemon.control.listener import Answer, Control
from daemon.counted import counted
from daemon.editing.adoption import adopt_in_ledger
from daemon.editing.edits import Edits
from daemon.errors import DarkroomError, FatalError, final
from daemon.groups import partners
from daemon.journal.announcement import announcement
from daemon.journal.complaints import Complaints
from daemon.journal.display import make_display
from daemon.journal.journal import Event, Level, log_into
from daemon.journal.showing import Showing
from daemon.life.allocator import Rest, keep_pages, spare_the_collector
from daemon.life.lifesigns import LifeSigns
from daemon.life.lock import DaemonLock
from daemon.life.notify import Notifier
from daemon.life.patience import Patience
from daemon.life.signals import Signals
from daemon.life.threads import Threads
from daemon.model import Config, State
from daemon.options import LogOptions
from daemon.rulebook import Rulebook
from daemon.shown import say

TICK = 0.1
TICK_ONCE = 0.02
STOP_WITHIN = 2.0
"""Seconds a stop may take to finish what is decoded; the rest is handed back to the ledger."""
REPORT_WITHIN = 10.0
"""Seconds that a stop waits for a report that is being written."""
INTAKE_WITHIN = 300.0
"""Seconds without a round after which the search for files hangs: to watch a million folders takes minutes."""


class Service:
    """One daemon on one `state_dir`. Raises DarkroomError when it cannot start."""

    def __init__(self, config: Config, *, once: bool, debug: bool = False) -> None:
        keep_pages()  # before there is any thread
        self._config = config
        self._once = once
        self._debug = debug
        self._rulebook = Rulebook(config)
        self._display = display = make_display(self._log_options)
        log_into(display.tell)
        self._complain = Complaints(lambda text: display.tell(Event(text, Level.WARNING)))
        self._stop = threading.Event()
        self._left = 0
        self._building = self._reported = False
        self._rest = Rest()
        self._fatal: Sequence[BaseException] = ()
        self._threads = Threads()
        self._signs = LifeSigns(Notifier(self._complain), self._complain)
        self._signs.starting("opening the ledger, proving the device")
        whereabouts.refuse_second(config)
        folders.make_folder(config.state_dir)
        self._lock = DaemonLock(config.state_dir)
        self._patience = Patience(self._complain, self._stop, once=once)
        self._stages = Assembly(self._rulebook, complain=self._complain, patience=self._patience)
        self._showing = Showing(display, self._stages)
        whereabouts.clear(config)
        self._answer_for()

    def _answer_for(self) -> None:
        """What can be asked of this daemon, and told to it, while it works."""
        stages = self._stages
        self._edits = Edits(self._rulebook, adopt=stages.adopt, tell=self._tell, reloading=self._signs.reloading)
        self._signals = Signals(self._stop, self._edits.ask)
        self._status = LiveStatus(self._rulebook, stages, self._edits)
        stages.metrics.look_at(self._rulebook, self._status, stages.pipeline, stages.intake)
        answers: Mapping[str, Answer] = {
            "config": lambda question: {"path": str(self._config.path)},
            "status": lambda question: self._status.answer(),
            "why": self._status.why,
            "reload": lambda question: self._edits.answer(wait=not self._once),
        }
        self._control = Control(self._config.state_dir, answers, self._complain)

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Work until a signal, or with `once` until everything there is finished. The exit status."""
        spare_the_collector()
        self._threads.start("signals", self._signals.run)
        self._signals.hear()
        self._display.start()
        try:
            return self._work()
        finally:
            self._display.close()  # also where a second signal breaks off the end: the terminal has its cursor again

    def _work(self) -> int:
        error = None
        try:
            self._start()
            self._loop()
        except DarkroomError as problem:
            error = problem
        finally:
            clean = self._end()
        error = error or self._what_ended_us()
        if not clean or self._building:
            self._leave(error, clean)
        if error is not None:
            raise error
        return self._exit_status()

    def _leave(self, error: DarkroomError | None, clean: bool) -> NoReturn:
        """End although a thread does not: one deep in a codec, or in TensorRT, cannot be joined."""
        if error is not None:
            say(f"darkroom: {final(error)}", error=True)
        elif not clean:
            self._tell("stopped while a picture was being worked on; it is taken up again at the next start")
        status = 1 if error is not None else self._exit_status()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def _what_ended_us(self) -> DarkroomError | None:
        """Why a thread that must not end has ended, if one has."""
        known = next((error for error in self._fatal if isinstance(error, FatalError)), None)
        if known is None and self._fatal:
            return DarkroomError(f"internal error ({self._fatal[0]!r}); nothing is lost, start darkroom again")
        return known

    def _start(self) -> None:
        stages = self._stages
        self._signs.starting("trying the folders")
        folders.prepare(self._config.rules, self._complain)
        stages.look_at_folders()
        self._signs.starting("finishing what was open")
        finished, handed_back = stages.pipeline.publisher.recover()
        for old, new in adopt_in_ledger(stages.ledger, self._config).items():
            self._tell(f"rule {old} is now called {new}, and its jobs go with it")
        stages.pipeline.publisher.sources.dispose()
        if finished or handed_back:
            self._tell(f"after the last end: {finished} outputs recorded, {handed_back} jobs taken up again")
        self._signs.starting("loading the graphs")
        stages.graphs.find()
        if not self._once:
            stages.intake.arm()
        self._start_threads()
        for line in announcement(self._config, stages.runtime, stages.graphs):
            self._tell(line)
        self._signs.ready([self._threads, stages.pipeline.threads, stages.host.threads])
        self._tell("ready" if self._once or self._signs.watched else "ready; Ctrl-C stops it")

    def _start_threads(self) -> None:
        stages, stop = self._stages, self._stop
        self._control.open()
        self._threads.start("control", lambda: self._control.run(stop))
        stages.metrics.start(self._threads, stop)
        self._threads.start("sweep", lambda: folders.sweep(self._rulebook, stages.ledger, stop))
        self._threads.start("intake", lambda: stages.intake.run(stop), within=INTAKE_WITHIN)
        self._threads.start("graphs", lambda: stages.graphs.open_found(stop))
        self._threads.start("exports", lambda: stages.graphs.build_missing(stop))
        self._threads.start("reports", lambda: stages.reporter.run(stop))
        stages.hooks.start()
        stages.pipeline.start()
        stages.host.start()

    def _loop(self) -> None:
        while not self._stop.wait(TICK_ONCE if self._once else TICK) and not self._failures():
            self._showing.look()
            if self._once and self._stages.finished():
                return
            if not self._once:
                self._edits.look()
            self._rest_if_idle()
            self._signs.tick(self._status.line)
        self._fatal = self._failures()

    def _failures(self) -> list[BaseException]:
        """What ended a thread that must not end."""
        return [*self._threads.fatal, *self._stages.pipeline.threads.fatal, *self._stages.host.threads.fatal]

    def _end(self) -> bool:
        """Stop everything, in the order in which work flows; whether every thread has ended."""
        stages = self._stages
        self._signs.stopping()
        self._stop.set()
        for waiting in (self._signals, stages.intake, stages.graphs, stages.metrics, self._control):
            waiting.wake()
        stages.host.stop()
        clean = stages.pipeline.stop(STOP_WITHIN)
        clean = stages.host.join(1.0) and clean
        self._building = not stages.runtime.close()
        self._threads.join(1.0)
        self._finish_reports()
        stages.hooks.finish(hurry=lambda: not self._once or self._signals.ends > 0)
        self._tell_of_the_end()
        if clean and self._threads.join(0):
            stages.ledger.close()
        self._control.close()
        whereabouts.clear(self._config)
        stages.metrics.close()
        self._lock.release()
        self._signs.close()
        self._signals.close()
        return clean

    def _finish_reports(self) -> None:
        """Write what the reports lack. With `once` they are what was asked for; a signal waits a while at most."""
        began = time.monotonic()
        while not self._threads.join(0.1, "reports"):
            if (not self._once or self._signals.ends) and time.monotonic() - began > REPORT_WITHIN:
                self._complain("a report is not complete; the next start completes it")
                return
        self._reported = self._stages.reporter.finish()

    def _tell_of_the_end(self) -> None:
        self._showing.look()
        waiting = 0, ""
        with contextlib.suppress(DarkroomError):  # what ended us is told already
            self._left = self._stages.open_in(self._stages.ledger.counts())
            waiting = partners.waiting(self._stages.ledger, self._rulebook.config.rules)
        self._display.close()
        if self._once and waiting[0]:
            self._tell(waiting[1])
        if self._signals.ends:
            left = f"; {counted(self._left, 'picture')} left for the next start" if self._left else ""
            self._tell(f"stopped{left}")

    def _exit_status(self) -> int:
        if not self._once:
            return 0
        if self._patience.gave_up:
            self._tell("gave up on the ledger; nothing is lost, start darkroom again when its disk is well")
        elif not self._signals.ends:
            self._tell_what_came_of_it()
        unwell = self._patience.gave_up or self._left or not self._reported
        return 1 if self._stages.tally.counts[State.FAILED] or unwell else 0

    def _tell_what_came_of_it(self) -> None:
        ended = self._stages.tally.summary()
        if self._left:
            self._tell(f"{counted(self._left, 'picture')} left waiting; `darkroom jobs` says for what")
        self._tell(f"finished: {ended or ('nothing could be done' if self._left else 'nothing was to be done')}")

    # -- parts of the loop ---------------------------------------------------------------------------------------

    def _rest_if_idle(self) -> None:
        working = self._stages.pipeline.in_flight > self._stages.pipeline.endings.slow
        self._rest.look(working=working, progressed=self._stages.tally.progressed)

    def _log_options(self) -> LogOptions:
        options = self._rulebook.config.log
        return replace(options, level="debug") if self._debug else options

    def _tell(self, text: str, level: Level = Level.INFO) -> None:
        self._display.tell(Event(text, level))
