"""The hooks of a rule as config.yaml has them, and the fields that tell a hook what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from daemon.publishing.template import Field

Word: TypeAlias = tuple[str | Field, ...]  # of a command: text, and fields that are filled in

_BOTH = {
    "event": "`failure` or `idle`",
    "rule": "name of the rule",
    "count": "pictures that this is about",
    "output": "the folder that the rule writes into",
    "host": "name of this machine",
    "time": "when, in UTC, as `2026-03-09T14:03:11.250+00:00`",
}
FAILURE_FIELDS = _BOTH | {
    "picture": "path below the watched folder; of several, that of the first",
    "source": "the same from the root of the file system",
    "reason": "why it failed",
    "state": "`failed`",
    "job": "number of its job",
}
IDLE_FIELDS = _BOTH | {
    "done": "of these, how many are done",
    "failed": "how many failed",
    "skipped": "how many were skipped",
    "cancelled": "how many were cancelled",
    "seconds": "time from the first of them to the last",
}


@dataclass(frozen=True, slots=True)
class Hook:
    """A `command` in words, or a `webhook`, the address that is posted to; the other is empty.

    It is ended after `timeout` seconds.
    """

    command: tuple[Word, ...] = ()
    webhook: str = ""
    timeout: float = 10.0

    @property
    def shown(self) -> str:
        """For people. All of an address but its host may be secret: who knows the path may post there."""
        if not self.webhook:
            return "".join(piece for piece in self.command[0] if isinstance(piece, str))
        parts = urlsplit(self.webhook)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class OnFailure(Hook):
    """`on_failure:`; begun at most once in `every` seconds."""

    every: float = 10.0


@dataclass(frozen=True, slots=True)
class OnIdle(Hook):
    """`on_idle:`; begun when the rule has had no work for `after` seconds."""

    after: float = 30.0
