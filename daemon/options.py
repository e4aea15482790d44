"""What config.yaml sets for the whole daemon: `runtime`, `tasks`, `log`, `metrics`. Frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """`runtime:` of config.yaml. `memory` in bytes, `max_pixels` in pixels of one picture, `workers` in threads."""

    device: str = "auto"
    memory: int = 1 << 30
    workers: int = 1
    max_pixels: int = 200_000_000


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """`tasks:` of config.yaml: how the steps that PyTorch runs are run. Durations are seconds.

    `concurrency` tasks run at a time, each in a process of its own, which ends after `idle` without work. `memory`
    bounds the data of one process in bytes, 0: not. A task that makes no step within `hang` is taken to hang.
    """

    device: str = "auto"
    concurrency: int = 1
    memory: int = 0
    checkpoint: float = 10.0
    idle: float = 60.0
    hang: float = 600.0


class LogFormat(enum.StrEnum):
    """How a line of the journal is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`log:` of config.yaml: events from this `level` on are told, in lines of this format."""

    level: str = "info"
    format: LogFormat = LogFormat.TEXT


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """`metrics:` of config.yaml: a TCP port of the loopback interface, or the path of a Unix socket; neither: none."""

    port: int | None = None
    socket: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether there are to be any."""
        return self.port is not None or self.socket is not None
