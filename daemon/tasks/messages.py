"""What the daemon and a worker say to each other: frozen values, one JSON object a line. Pixels travel as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias


class ProtocolError(Exception):
    """A line that is no message: the other side is not what it should be."""


@dataclass(frozen=True, slots=True)
class Run:
    """To a worker: run this task on the inputs in `folder`, from its checkpoint if that has the same `key`.

    `preview` and `checkpoint` are seconds between two of them; None: no previews.
    """

    folder: str
    step: str
    parameters: Mapping[str, Any]
    roles: tuple[str, ...]
    key: str
    thrift: int
    checkpoint: float
    preview: float | None


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: save a checkpoint after the step that is being made, and give up the task."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: PyTorch is loaded and computes on `device`; orders may come."""

    device: str


@dataclass(frozen=True, slots=True)
class Alive:
    """From a worker, every second whatever it does: its interpreter runs. Whether its task gets on, steps tell."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """From a worker: so far it is. Sent a few times a second at most. `left`: seconds, None where nobody can tell."""

    step: int
    steps: int
    losses: Mapping[str, float]
    left: float | None


@dataclass(frozen=True, slots=True)
class Saved:
    """From a worker: a checkpoint of this step is durable."""

    step: int


@dataclass(frozen=True, slots=True)
class Previewed:
    """From a worker: a new preview lies in the folder."""


@dataclass(frozen=True, slots=True)
class Finished:
    """From a worker: the result lies in the folder, and so do the pictures `beside` it, by name. `told`: words."""

    record: Mapping[str, Any]
    beside: tuple[str, ...]
    told: tuple[str, ...]
    steps: int
    seconds: float
    history: tuple[tuple[int, Mapping[str, float]], ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """From a worker: the task was given up after this step, and its checkpoint is durable."""

    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Failed:
    """From a worker: the task raised. `kind`: "memory" where that ran out, "starved" where it cannot begin.

    Or "refused", "blocked", "disk", "error".
    """

    kind: str
    text: str
    errno: int | None = None


Order: TypeAlias = Run | Stop
Report: TypeAlias = Ready | Alive | Stepped | Saved | Previewed | Finished | Stopped | Failed
ORDERS: tuple[type, ...] = (Run, Stop)
REPORTS: tuple[type, ...] = (Ready, Alive, Stepped, Saved, Previewed, Finished, Stopped, Failed)


def line_of(message: Order | Report) -> bytes:
    """A message as a line."""
    return json.dumps({"message": type(message).__name__, **asdict(message)}).encode() + b"\n"


def order_of(line: bytes) -> Order:
    """The order in a line. Raises ProtocolError."""
    order: Order = _read(line, ORDERS)
    return order


def report_of(line: bytes) -> Report:
    """The report in a line. Raises ProtocolError."""
    report: Report = _read(line, REPORTS)
    return report


def _read(line: bytes, kinds: tuple[type, ...]) -> Any:
    try:
        told = json.loads(line)
        kind = next(kind for kind in kinds if kind.__name__ == told["message"])
        wanted = {each.name for each in fields(kind)}
        if set(told) != wanted | {"message"}:
            raise KeyError
        return kind(**{name: _frozen(told[name]) for name in wanted})
    except (ValueError, TypeError, KeyError, StopIteration, RecursionError) as error:
        raise ProtocolError(f"not a message: {line[:80]!r}") from error


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
