"""Metrics for Prometheus: counted while the stages work, looked up when asked, told over HTTP on this machine only.

The only room that knows prometheus-client, which is not loaded before somebody wants metrics.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.life.threads import Threads
from daemon.options import MetricsOptions
from daemon.pipeline.meters import NO_METERS, Meters

if TYPE_CHECKING:
    from daemon.asking.live_status import LiveStatus
    from daemon.intake.intake import Intake
    from daemon.metrics.listener import Listener
    from daemon.metrics.live import Live
    from daemon.metrics.recorder import Recorder
    from daemon.pipeline.pipeline import Pipeline
    from daemon.rulebook import Rulebook


class Metrics:
    """Where they are not wanted there is nothing: `meters` count nothing, and nobody listens. `tell` gets lines."""

    def __init__(self, options: MetricsOptions, tell: Callable[[str], None]) -> None:
        self._recorder: Recorder | None = None
        self._listener: Listener | None = None
        self._live: Live | None = None
        if options.wanted:
            from daemon.metrics.listener import Listener
            from daemon.metrics.recorder import Recorder

            self._recorder, self._listener = Recorder(), Listener(options, tell)

    @property
    def meters(self) -> Meters:
        """What the stages are to call."""
        return self._recorder or NO_METERS

    def look_at(self, rulebook: Rulebook, status: LiveStatus, pipeline: Pipeline, intake: Intake) -> None:
        """Have these looked at whenever somebody asks."""
        if self._recorder is not None and self._listener is not None:
            from daemon.metrics.live import Live

            self._live = Live(self._recorder, rulebook, status, pipeline, intake)
            self._listener.answer_with(self._live)

    def start(self, threads: Threads, stop: threading.Event) -> None:
        """Listen, and answer in a thread until `stop` is set."""
        if (listener := self._listener) is not None:
            listener.open()
            threads.start("metrics", lambda: listener.run(stop))

    def wake(self) -> None:
        """Have the thread notice that it is to stop."""
        if self._listener is not None:
            self._listener.wake()

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()
        if self._live is not None:
            self._live.close()
