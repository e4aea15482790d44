"""Tasks: a worker started as the daemon would start it, and what PyTorch computes on there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from daemon.doctor.values import Finding, fault, ok
from daemon.model import Config
from daemon.tasks.process import WorkerDied, WorkerProcess
from daemon.version import version_of

AREA = "tasks"
WITHIN = 60.0
"""Seconds that a worker has to come up."""


def examine(config: Config | None) -> Iterator[Finding]:
    """Nothing where no rule has a task: none is started then."""
    names = [rule.name for rule in config.rules if rule.is_task] if config is not None else []
    if config is None or not names:
        return
    with tempfile.TemporaryDirectory(prefix="darkroom-") as place:
        worker = WorkerProcess(config.tasks, 1, Path(place) / "worker.log")
        try:
            device = _device_of(worker)
        except WorkerDied as death:
            device, cause = None, str(death)
        else:
            cause = f"it did not come up within {WITHIN:.0f} s"
        finally:
            worker.end()
    if device is None:
        remedy = "set tasks.device: auto" if config.tasks.device == "cuda" else "install PyTorch again"
        yield fault(AREA, ", ".join(names), f"the PyTorch worker does not start: {cause}", remedy)
    else:
        yield ok(AREA, ", ".join(names), f"a worker came up; PyTorch {version_of('torch')} computes on the {device}")


def _device_of(worker: WorkerProcess) -> str | None:
    deadline = time.monotonic() + WITHIN
    while worker.device is None and (left := deadline - time.monotonic()) > 0:
        worker.receive(left)
    return worker.device
