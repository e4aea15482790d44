"""What a hook is told, put together: the values of its fields, and the same as JSON."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from daemon.hooks.values import Hook
from daemon.model import Job, Rule, State

LONGEST = 2000
"""Characters of a reason that are told: a word of a command has 128 KiB at most, with all that stands before it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that failed, at `time` in seconds since the epoch."""

    job: Job
    reason: str
    time: float

    def values(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "job": self.job.id,
            "picture": self.job.relative,
            "source": self.job.path,
            "reason": self.reason[:LONGEST],
            "time": _iso(self.time),
        }


@dataclass(frozen=True, slots=True)
class Event:
    """What happened under a rule, and the hook that is to hear of it.

    `values` has every field of FAILURE_FIELDS or IDLE_FIELDS; `failures` are the first of them. `told` is for the
    journal: what is lost with this event.
    """

    rule: str
    key: str
    hook: Hook
    told: str
    values: Mapping[str, Any]
    failures: Sequence[Mapping[str, Any]] = field(default=())

    def document(self) -> bytes:
        """The whole event as JSON, in ASCII. Names that are not UTF-8 have \\udc.. for each byte that is not."""
        content = dict(self.values) | ({"failures": list(self.failures)} if self.failures else {})
        return json.dumps(_printable(content)).encode("ascii")

    @property
    def place(self) -> str:
        """For the journal: `mosaic: on_failure: notify-send`."""
        return f"{self.rule}: {self.key}: {self.hook.shown}"


def failure_event(rule: Rule, hook: Hook, first: Sequence[Failure], count: int) -> Event:
    """The event of `count` failures, of which these are the first."""
    common = _common("failure", rule, count, first[0].time)
    values = common | {"state": State.FAILED.value} | first[0].values()
    names = ", ".join(failure.job.relative for failure in first[:3]) + (", …" if count > 3 else "")
    told = f"one failure ({names})" if count == 1 else f"{count:,} failures ({names})"
    return Event(rule.name, "on_failure", hook, told, values, [failure.values() for failure in first])


def idle_event(rule: Rule, hook: Hook, ended: Mapping[State, int], seconds: float, now: float) -> Event:
    """The event of a rule that has worked off `ended`, jobs by state, within `seconds`. `now`: since the epoch."""
    common = _common("idle", rule, sum(ended.values()), now)
    states = (State.DONE, State.FAILED, State.SKIPPED, State.CANCELLED)
    values = common | {state.value: ended.get(state, 0) for state in states} | {"seconds": round(seconds, 3)}
    return Event(rule.name, "on_idle", hook, "that it is idle", values)


def _common(event: str, rule: Rule, count: int, time: float) -> dict[str, Any]:
    return {
        "event": event,
        "rule": rule.name,
        "count": count,
        "output": rule.output.folder,
        "host": socket.gethostname(),
        "time": _iso(time),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _printable(value: Any) -> Any:
    """Names that are not UTF-8 as the journal has them: a lone surrogate is refused by strict readers of JSON."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: _printable(each) for name, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value
