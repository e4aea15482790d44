"""The life of the daemon: start, one loop that acts, a clean end. Signals only set a flag."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FrameType

from daemon import folders, partners
from daemon.allocator import give_pages_back, keep_pages, spare_the_collector
from daemon.announcement import announcement
from daemon.complaints import Complaints
from daemon.control import Answer, Control
from daemon.display import Display, make_display
from daemon.edits import Edits
from daemon.errors import DarkroomError
from daemon.graphs import Graphs
from daemon.grouping import look_again
from daemon.hooks.firing import Hooks
from daemon.intake import Intake
from daemon.journal import Event, Level, Records
from daemon.ledger import Ledger, Move
from daemon.lifesigns import LifeSigns
from daemon.live_status import LiveStatus
from daemon.lock import DaemonLock
from daemon.metrics import Metrics
from daemon.model import Config, Job, LogOptions, State, unfinished
from daemon.notify import Notifier
from daemon.patience import GIVE_UP, Patience
from daemon.pipeline import Pipeline
from daemon.reporter import Reporter
from daemon.rulebook import Rulebook
from daemon.runtime import Runtime
from daemon.tally import Tally
from daemon.tasks.host import TaskHost
from daemon.threads import Threads

TICK = 0.1
TICK_ONCE = 0.02
STOP_WITHIN = 2.0
"""Seconds a stop may take to finish what is decoded; the rest is handed back to the ledger."""
TELL_EVERY = 1.0
REPORT_WITHIN = 10.0
"""Seconds that a stop waits for a report that is being written."""
INTAKE_WITHIN = 300.0
"""Seconds without a round after which the search for files hangs: to watch a million folders takes minutes."""
REST_AFTER = 2.0
"""Seconds without work after which memory is given back."""


class Service:
    """One daemon on one `state_dir`. Raises DarkroomError when it cannot start."""

    def __init__(self, config: Config, *, once: bool, debug: bool = False) -> None:
        self._config = config
        self._rulebook = Rulebook(config)
        self._debug = debug
        self._display = display = make_display(self._log_options)
        _log_into(display)
        self._once = once
        self._stop = threading.Event()
        self._signals = 0
        self._complain = Complaints(lambda text: display.tell(Event(text, Level.WARNING)))
        self._left = 0
        self._building = False
        self._shown = 0.0
        self._patience = Patience(self._complain, self._stop, once=once)
        self._rested = True
        self._reported = False
        self._fatal: Sequence[BaseException] = ()
        self._tally = Tally()
        self._started = time.time()
        self._signs = LifeSigns(Notifier(self._complain), self._complain)
        self._signs.starting("opening the ledger, proving the device")
        self._hooks = Hooks(self._rulebook, self._complain)
        self._metrics = Metrics(config.metrics, self._complain)
        folders.make_folder(config.state_dir)
        self._lock = DaemonLock(config.state_dir)
        self._ledger = Ledger(config.state_dir / "ledger.db", patience=self._patience)
        self._runtime = Runtime(
            config.runtime.device,
            config.runtime.workers,
            memory=config.runtime.memory,
            cache=config.state_dir / "tensorrt",
            tell=self._complain,
        )
        self._graphs = Graphs(self._rulebook, self._runtime, complain=self._complain, ready=self._wake)
        self._intake = Intake(
            self._rulebook,
            self._ledger,
            complain=self._complain,
            arrived=self._wake,
            ended=self._note,
            meters=self._metrics.meters,
        )
        self._reporter = Reporter(self._rulebook, self._ledger, self._complain)
        self._pipeline = Pipeline(
            self._rulebook,
            self._ledger,
            self._runtime,
            recipe_of=self._graphs.recipe_of,
            ended=self._ended,
            look_again=self._look_again,
            complain=self._complain,
            meters=self._metrics.meters,
        )
        self._host = TaskHost(
            self._rulebook,
            self._ledger,
            self._pipeline.blockades,
            self._pipeline.endings,
            hand_in=self._pipeline.hand_in,
            look_again=self._look_again,
            complain=self._complain,
            meters=self._metrics.meters,
        )
        self._threads = Threads()
        self._edits = Edits(self._rulebook, adopt=self._adopt, tell=self._tell, reloading=self._signs.reloading)
        self._status = LiveStatus(
            self._rulebook, self._runtime, self._graphs, self._pipeline, self._host, self._tally, self._edits
        )
        self._metrics.look_at(self._rulebook, self._status, self._pipeline, self._intake)
        answers: Mapping[str, Answer] = {
            "config": lambda question: {"path": str(config.path)},
            "status": lambda question: self._status.answer(),
            "reload": lambda question: self._edits.answer(wait=not once),
        }
        self._control = Control(config.state_dir, answers, self._complain)

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Work until a signal, or with `once` until everything there is finished. The exit status."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(signal.SIGHUP, self._on_signal if _has_terminal() else self._on_hangup)
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # a lease we test for may be broken; see scan.being_written
        keep_pages()
        spare_the_collector()
        try:
            self._start()
            self._loop()
        finally:
            clean = self._end()
        if self._fatal:
            raise DarkroomError(f"internal error ({self._fatal[0]!r}); nothing is lost, start darkroom again")
        if not clean:
            self._tell("stopped while a picture was being worked on; it is taken up again at the next start")
        if not clean or self._building:
            status = self._exit_status()
            sys.stdout.flush()
            os._exit(status)  # a thread deep in a codec, or in TensorRT, cannot be joined, and must not hold up the end
        return self._exit_status()

    def _start(self) -> None:
        self._signs.starting("trying the folders")
        folders.prepare(self._config.rules, self._complain)
        self._signs.starting("finishing what was open")
        finished, handed_back = self._pipeline.publisher.recover()
        for old, new in self._intake.adopt_in_ledger(self._config).items():
            self._tell(f"rule {old} is now called {new}, and its jobs go with it")
        if finished or handed_back:
            self._tell(f"after the last end: {finished} outputs recorded, {handed_back} jobs taken up again")
        self._signs.starting("loading the graphs")
        self._graphs.find()
        if not self._once:
            self._intake.arm()
        self._control.open()
        self._threads.start("control", lambda: self._control.run(self._stop))
        self._metrics.start(self._threads, self._stop)
        self._threads.start("sweep", lambda: folders.sweep(self._config.rules, self._stop))
        self._threads.start("intake", lambda: self._intake.run(self._stop), within=INTAKE_WITHIN)
        self._threads.start("graphs", lambda: self._graphs.open_found(self._stop))
        self._threads.start("exports", lambda: self._graphs.build_missing(self._stop))
        self._threads.start("reports", lambda: self._reporter.run(self._stop))
        self._hooks.start()
        self._pipeline.start()
        self._host.start()
        for line in announcement(self._config, self._runtime, self._graphs):
            self._tell(line)
        self._signs.ready([self._threads, self._pipeline.threads, self._host.threads])
        self._tell("ready" if self._once or self._signs.watched else "ready; Ctrl-C stops it")

    def _loop(self) -> None:
        while not self._stop.wait(TICK_ONCE if self._once else TICK) and not self._failures():
            self._show()
            if self._once and self._finished():
                return
            if not self._once:
                self._edits.look()
            self._rest_if_idle()
            self._signs.tick(self._status_line)
        self._fatal = self._failures()

    def _failures(self) -> list[BaseException]:
        """What ended a thread that must not end."""
        return [*self._threads.fatal, *self._pipeline.threads.fatal, *self._host.threads.fatal]

    def _end(self) -> bool:
        self._signs.stopping()
        self._stop.set()
        self._intake.wake()
        self._graphs.wake()
        self._host.stop()
        clean = self._pipeline.stop(STOP_WITHIN)
        clean = self._host.join(1.0) and clean
        self._building = not self._runtime.close()
        self._threads.join(1.0)
        self._finish_reports()
        self._hooks.finish(hurry=lambda: not self._once or self._signals > 0)
        self._show()
        waiting = 0, ""
        with contextlib.suppress(DarkroomError):  # what ended us is told already
            self._left = self._open_in(self._ledger.counts())
            waiting = partners.waiting(self._ledger, self._rulebook.config.rules)
        self._display.close()
        if self._once and waiting[0]:
            self._tell(waiting[1])
        if self._signals:
            self._tell(f"stopped; {self._left:,} pictures wait for the next start" if self._left else "stopped")
        if clean and self._threads.join(0):
            self._ledger.close()
        self._control.close()
        self._metrics.close()
        self._lock.release()
        self._signs.close()
        return clean

    def _finish_reports(self) -> None:
        """Write what the reports lack. With `once` they are what was asked for; a signal waits a while at most."""
        began = time.monotonic()
        while not self._threads.join(0.1, "reports"):
            if (not self._once or self._signals) and time.monotonic() - began > REPORT_WITHIN:
                self._complain("a report is not complete; the next start completes it")
                return
        self._reported = self._reporter.finish()

    def _exit_status(self) -> int:
        if not self._once:
            return 0
        if self._patience.gave_up:
            self._tell("gave up on the ledger; nothing is lost, start darkroom again when its disk is well")
        elif self._left and not self._signals:
            self._tell(f"{self._left} pictures are left waiting; `darkroom jobs` says for what")
        unwell = self._patience.gave_up or self._left or not self._reported
        return 1 if self._tally.counts[State.FAILED] or unwell else 0

    # -- parts of the loop ---------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Tell what happened: at once while little does, once a second while much does."""
        busy = self._pipeline.in_flight and time.monotonic() - self._shown < TELL_EVERY
        if not busy:
            self._shown = time.monotonic()
            for event in self._tally.events(each=self._display.each_job):
                self._display.tell(event)
        finished = sum(self._tally.counts[s] for s in (State.DONE, State.FAILED, State.SKIPPED))
        self._display.progress(finished, self._open_jobs(), self._tally.rate())
        self._display.tasks(self._host.running())

    def _rest_if_idle(self) -> None:
        """Give memory back, once after each stretch of work."""
        if self._pipeline.in_flight > self._pipeline.endings.slow:
            self._rested = False
        elif not self._rested and time.monotonic() - self._tally.progressed > REST_AFTER:
            self._rested = True
            give_pages_back()

    def _status_line(self) -> str:
        """For `systemctl status`."""
        waiting = max(0, self._open_jobs() - self._pipeline.in_flight)
        blocked = self._pipeline.blockades.reasons() | self._graphs.trouble()
        told = f"{waiting:,} waiting, {self._pipeline.in_flight:,} in work, {self._tally.rate():,.1f} pictures/s"
        told += f", on the {self._runtime.label}" + (f"; blocked: {', '.join(sorted(blocked))}" if blocked else "")
        return told + ("; config.yaml has faults, the rules from before are in force" if self._edits.faults else "")

    def _finished(self) -> bool:
        """With `once`: whether nothing is left to do, or nothing that can be done."""
        counts = self._ledger.counts()
        if self._pipeline.in_flight or not self._intake.settled:
            return False
        if self._open_in(counts) <= 0:
            # Between the looks above a job may have come, and gone back to wait, but not without being counted.
            return self._ledger.counts() == counts and self._intake.settled
        building = set(self._graphs.missing()) - set(self._graphs.trouble())
        return not building and time.monotonic() - self._tally.progressed > GIVE_UP

    def _open_in(self, counts: Mapping[str, Mapping[State, int]]) -> int:
        """Jobs of our rules that go on. One that was claimed is `running` in the same transaction.

        Groups that are not whole do not. They are counted after `counts`: if one comes between, that has changed.
        """
        incomplete = self._ledger.incomplete()
        names = self._rulebook.rules
        return sum(unfinished(counts.get(name, {})) - incomplete.get(name, 0) for name in names)

    def _open_jobs(self) -> int:
        try:
            return max(0, self._open_in(self._ledger.counts()))
        except DarkroomError:
            return self._pipeline.in_flight

    def _log_options(self) -> LogOptions:
        options = self._rulebook.config.log
        return replace(options, level="debug") if self._debug else options

    def _tell(self, text: str, level: Level = Level.INFO) -> None:
        self._display.tell(Event(text, level))

    # -- what others call ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._pipeline.wake()
        self._host.wake()

    def _adopt(self, config: Config, adopted: Callable[[Mapping[str, str]], None]) -> None:
        """Put a configuration in force: by the intake, then whoever keeps something for each rule sees to it."""

        def in_force(renamed: Mapping[str, str]) -> None:
            self._graphs.look_for_new()
            self._pipeline.blockades.keep(self._rulebook.rules)
            self._host.look_for_tasks()
            self._hooks.renamed(renamed)
            self._wake()
            adopted(renamed)

        self._intake.adopt(config, in_force)

    def _ended(self, job: Job, move: Move) -> None:
        self._note(job, move)
        self._host.ended(job, move)

    def _note(self, job: Job, move: Move) -> None:
        self._tally.note(job, move)
        self._metrics.meters.ended(job, move)
        self._hooks.note(job, move)

    def _look_again(self, job: Job) -> None:
        look_again(self._ledger, self._intake.hints, job)

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._edits.ask()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._stop.set()
        if self._signals > 1:
            raise KeyboardInterrupt


def _has_terminal() -> bool:
    """Whether this process has a terminal: then a hang-up means that it was closed, else that rules are to be read."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _log_into(display: Display) -> None:
    """Have what the stages log told as everything else is."""
    log = logging.getLogger("darkroom")
    log.handlers = [Records(display.tell)]
    log.propagate = False
    log.setLevel(logging.DEBUG)
