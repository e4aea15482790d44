"""That the daemon lives, told to the service manager: ready, what it is at, and that every vital thread goes on."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Callable, Sequence, Set

from daemon.life.notify import Notifier
from daemon.life.threads import Threads, on_beat

TELL_EVERY = 1.0
"""Seconds between two looks at the status and at the threads."""
STEP_WITHIN = 300.0
"""Seconds that one step of the start may take. A card builds its engines in it, a long ledger is migrated."""


class LifeSigns:
    """Called by the loop that everything hangs on. A vital thread that is late is told of, with what all of them do,
    and the manager, if it keeps a watchdog, is asked to start the daemon anew: what hangs cannot be mended from within.
    """

    def __init__(self, notifier: Notifier, complain: Callable[[str], None]) -> None:
        self._notifier = notifier
        self._complain = complain
        self._threads: Sequence[Threads] = ()
        self._looked = self._alive = 0.0
        self._step = ""
        self._status = ""
        self._late: Set[str] = frozenset()
        on_beat(self._waiting)

    @property
    def watched(self) -> bool:
        """Whether a service manager listens."""
        return self._notifier.heard

    def starting(self, what: str) -> None:
        """The next step of the start."""
        self._step = what
        self._notifier.starting(what, STEP_WITHIN)

    def ready(self, threads: Sequence[Threads]) -> None:
        """Folders are watched. From now on these threads must not be late."""
        self._threads = threads
        self._notifier.ready()

    def reloading(self, begun: bool) -> None:
        """Other rules are being put in force, or are by now."""
        if begun:
            self._notifier.reloading()
        else:
            self._notifier.ready()

    def stopping(self) -> None:
        """The end has begun: nothing is late any more."""
        self._notifier.stopping()

    def close(self) -> None:
        """Say no more."""
        on_beat(None)
        self._notifier.close()

    def tick(self, status: Callable[[], str]) -> None:
        """A round of the loop. `status()` is asked for a line now and then, and told if it is news."""
        now = time.monotonic()
        if now - self._looked < TELL_EVERY:
            return
        self._looked = now
        if self._notifier.heard and (told := status()) != self._status:
            self._status = told
            self._notifier.status(told)
        self._look()

    def _waiting(self) -> None:
        """The loop, or the start, waits for the disk of the ledger: it does not hang."""
        if self._threads:
            self._look()
        else:
            self.starting(self._step)

    def _look(self) -> None:
        late = {name for each in self._threads for name in each.late()}
        self._tell_of(late)
        now = time.monotonic()
        if not late and self._notifier.watchdog and now - self._alive >= self._notifier.watchdog / 4:
            self._alive = now
            self._notifier.alive()

    def _tell_of(self, late: Set[str]) -> None:
        news, self._late = late - self._late, late
        if not news:
            return
        names = ", ".join(sorted(news))
        does = "darkroom is started anew" if self._notifier.watchdog else "start darkroom again if it stays so"
        self._complain(f"{names}: no sign of life for too long; what every thread is at follows, {does}")
        sys.stdout.flush()
        if self._notifier.watchdog:
            self._notifier.stuck()  # ends us with SIGABRT, at which faulthandler writes where every thread is
        else:
            faulthandler.dump_traceback(all_threads=True)
