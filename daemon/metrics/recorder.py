"""What is counted while the work goes on: from the start of this daemon, so all of it begins at nought."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from prometheus_client import Counter, Histogram, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from daemon.ledger import Move
from daemon.model import Job, State
from daemon.pipeline.meters import Stage

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
"""Two to a decade: a small picture is decoded in a millisecond, a task may take hours."""
PICTURES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ENDS = (State.DONE, State.FAILED, State.SKIPPED, State.CANCELLED)


class Recorder(Collector):
    """The meters that count. Thread-safe: prometheus-client keeps a lock for each number."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that says when this daemon started
        self._seconds = Histogram(
            "darkroom_stage_seconds",
            "Time that a thread took for one piece of a stage's work. sync is a part of publish.",
            ["stage"],
            buckets=SECONDS,
            registry=None,
        )
        self._batches = Histogram(
            "darkroom_batch_pictures", "Pictures in a batch that was run.", buckets=PICTURES, registry=None
        )
        self._wholes = Histogram(
            "darkroom_job_seconds",
            "Time from a job's entry into the ledger until its result was published.",
            ["rule"],
            buckets=SECONDS,
            registry=None,
        )
        self._ended = Counter("darkroom_jobs_ended", "Jobs that ended, by how.", ["rule", "state"], registry=None)
        self._retries = Counter(
            "darkroom_job_retries", "Tries that failed and are made again.", ["rule"], registry=None
        )
        self._stages = {stage: self._seconds.labels(stage.value) for stage in Stage}

    def expect(self, rules: Iterable[str]) -> None:
        """Have the series of these rules begin at 0: of one that begins at 1, Prometheus would not see it rise."""
        for rule in rules:
            self._wholes.labels(rule)
            self._retries.labels(rule)
            for state in ENDS:
                self._ended.labels(rule, state.value)

    def collect(self) -> Iterator[Metric]:
        """What was counted so far."""
        for each in (self._ended, self._retries, self._wholes, self._seconds, self._batches):
            yield from each.collect()

    def timed(self, stage: Stage) -> AbstractContextManager[object]:
        """See Meters."""
        return self._stages[stage].time()

    def batch(self, pictures: int) -> None:
        """See Meters."""
        self._batches.observe(pictures)

    def ended(self, job: Job, move: Move) -> None:
        """See Meters."""
        if move.to in ENDS:
            self._ended.labels(job.rule, move.to.value).inc()
        elif move.attempts is not None:
            self._retries.labels(job.rule).inc()
        if move.to is State.DONE:
            self._wholes.labels(job.rule).observe(max(0.0, time.time() - job.created))
