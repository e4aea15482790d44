"""Results on their way out: gathered for a moment, a sync being no dearer for many than for one, then published."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable

from daemon.errors import BlockedError
from daemon.life.threads import beat
from daemon.pipeline.endings import Endings
from daemon.pipeline.meters import Meters, Stage
from daemon.pipeline.workbench import WAIT
from daemon.publishing.placement import Encoded
from daemon.publishing.publish import Publisher

log = logging.getLogger("darkroom")

GROUP = 256  # results published together at most
GATHER = 0.1  # seconds that results wait for others on their way


class Outlet:
    """`hand_in` from any thread; `run` in one of its own, until `end` was called and nothing is left."""

    def __init__(self, publisher: Publisher, endings: Endings, meters: Meters) -> None:
        self._publisher = publisher
        self._endings = endings
        self._meters = meters
        self._results: deque[Encoded] = deque()
        self._changed = threading.Condition()
        self._ending = threading.Event()

    def hand_in(self, results: Iterable[Encoded]) -> None:
        """Have results published; their jobs must be among those expected."""
        with self._changed:
            self._results.extend(results)
            self._changed.notify()

    def end(self) -> None:
        """Publish what is there, and nothing more."""
        self._ending.set()
        with self._changed:
            self._changed.notify_all()

    def run(self) -> None:
        """Publish group after group."""
        try:
            while not (self._ending.is_set() and not self._results):
                beat()
                self._publish_group()
            self._publisher.sources.dispose()
        except BlockedError as error:  # only when stopping: the ledger waits otherwise; a restart recovers
            log.error("%s", error)

    def _publish_group(self) -> None:
        if not (group := self._take_group()):
            self._publisher.sources.dispose_soon()  # a rule that shares a file may have ended without an output
            return
        with self._meters.timed(Stage.PUBLISH):
            later = self._publisher.publish(group)
        with self._changed:
            self._results.extendleft(reversed(later))

    def _take_group(self) -> list[Encoded]:
        """Results to publish together: what is there at once if nothing else is on its way, else a short while's."""
        with self._changed:
            if not self._results:
                self._changed.wait(WAIT)
            deadline = time.monotonic() + GATHER
            while len(self._results) < self._coming() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return [self._results.popleft() for _ in range(min(GROUP, len(self._results)))]

    def _coming(self) -> int:
        """Results worth waiting for: those of tasks may take hours."""
        return min(GROUP, self._endings.in_flight - self._endings.slow)
