"""What is looked up when somebody asks: in the live daemon, and in the ledger without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.metrics.ledger_reading import LedgerReader, Reading
from daemon.model import State

if TYPE_CHECKING:
    from daemon.asking.live_status import LiveStatus
    from daemon.intake.intake import Intake
    from daemon.metrics.recorder import Recorder
    from daemon.pipeline.pipeline import Pipeline
    from daemon.rulebook import Rulebook

Rows = Iterable[tuple[Sequence[str], float]]


class Live(Collector):
    """The stages of one daemon, as they are at the moment. Called from the thread that answers."""

    def __init__(
        self, recorder: Recorder, rulebook: Rulebook, status: LiveStatus, pipeline: Pipeline, intake: Intake
    ) -> None:
        self._recorder = recorder
        self._rulebook = rulebook
        self._status = status
        self._pipeline = pipeline
        self._intake = intake
        self._ledger = LedgerReader(lambda: rulebook.config)

    def collect(self) -> Iterator[Metric]:
        """Every metric of darkroom's; numbers of jobs are absent while the ledger does not answer."""
        live, rules = self._status.live(), list(self._rulebook.rules)
        self._recorder.expect(rules)
        yield _labelled("build_info", "The version of darkroom.", ["version"], [([live["version"]], 1)])
        yield from _ledger(self._ledger.read(), rules)
        yield _gauge("jobs_in_flight", "Jobs that were claimed and have not ended.", live["in_flight"])
        yield from _rules(rules, live)
        yield from _tasks(live["tasks"])
        yield from self._queue()
        yield from self._events()
        yield from _config(live)
        yield from self._recorder.collect()

    def close(self) -> None:
        """Nobody asks any more."""
        self._ledger.close()

    def _queue(self) -> Iterator[Metric]:
        used, limit = self._pipeline.queued
        yield _gauge("queue_bytes", "Memory that the pictures in flight take up.", used)
        yield _gauge("queue_limit_bytes", "The bound on that: runtime.memory.", limit)

    def _events(self) -> Iterator[Metric]:
        lost = "Events that came too fast to be followed one by one; their folders were scanned instead."
        yield CounterMetricFamily("darkroom_events_lost", lost, value=self._intake.hints.lost)
        unwatched = "Watched folders whose events cannot be had; they are scanned all the time instead."
        yield _gauge("folders_unwatched", unwatched, self._intake.unwatched())
        yield _gauge("folders_unreadable", "Watched folders that cannot be read.", len(self._intake.unreadable()))


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"darkroom_{name}", told, value=value)


def _labelled(name: str, told: str, labels: Sequence[str], rows: Rows) -> Metric:
    family = GaugeMetricFamily(f"darkroom_{name}", told, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _ledger(found: Reading | None, rules: Sequence[str]) -> Iterator[Metric]:
    """Jobs by rule and state, also of rules that are gone."""
    told = "1 if the ledger answered within a second; else what is read from it is absent."
    yield _gauge("ledger_readable", told, found is not None)
    if found is None:
        return
    known = dict.fromkeys([*rules, *found.counts])
    by_state = [((rule, state.value), found.counts.get(rule, {}).get(state, 0)) for rule in known for state in State]
    yield _labelled("jobs", "Jobs in the ledger, by their state.", ["rule", "state"], by_state)
    told = "Of those that wait, groups whose files are not all there."
    yield _labelled("jobs_incomplete", told, ["rule"], [([rule], found.incomplete.get(rule, 0)) for rule in known])
    told = "Size of the ledger, and of its write-ahead log."
    yield _labelled("ledger_bytes", told, ["file"], [(["main"], found.main), (["wal"], found.wal)])
    yield _gauge("ledger_disk_free_bytes", "Free room on the disk of the ledger.", found.free)


def _rules(rules: Sequence[str], live: Mapping[str, Any]) -> Iterator[Metric]:
    blocked, missing = live["blocked"], live["compiling"]
    told = "1 while the rule waits for its surroundings: a full disk, a folder that is gone."
    yield _labelled("rule_blocked", told, ["rule"], [([rule], rule in blocked) for rule in rules])
    told = "1 while the rule has no graph: it is being compiled, or cannot be."
    yield _labelled("rule_graph_missing", told, ["rule"], [([rule], rule in missing) for rule in rules])
    yield _labelled("device_info", "The device that graphs are opened on.", ["device"], [([live["device"]], 1)])
    told = "The device that the rule's graph runs on; absent while it has none, and for tasks."
    found = [([rule, device], 1) for rule, device in live["devices"].items() if device]
    yield _labelled("rule_device_info", told, ["rule", "device"], found)


def _tasks(tasks: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Of each task that runs; `job_id`, since `job` is a label of Prometheus's own."""
    labels, of = ["rule", "job_id"], [([task["rule"], str(task["job"])], task) for task in tasks]
    told = "How much of a running task is done, 0 to 1."
    shares = [(names, task["step"] / task["steps"] if task["steps"] else 0.0) for names, task in of]
    yield _labelled("task_progress_ratio", told, labels, shares)
    yield _labelled("task_step", "Steps that a running task has made.", labels, [(n, t["step"]) for n, t in of])
    yield _labelled("task_steps", "Steps that it has to make.", labels, [(n, t["steps"]) for n, t in of])


def _config(live: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge(
        "config_faults", "Faults of config.yaml as it is now; the rules from before stay.", len(live["faults"])
    )
    told = "When the rules in force were put in force, in seconds since the epoch."
    yield _gauge("config_in_force_timestamp_seconds", told, live["since"])
