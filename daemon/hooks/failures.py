"""Failures that no hook was told of yet, rule by rule: however many there are, each rule tells them in one event."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from daemon.hooks.events import Event, Failure, failure_event
from daemon.hooks.values import OnFailure
from daemon.model import Rule

FIRST = 20
"""Failures that an event names; of more, only the number is kept."""


@dataclass(slots=True)
class _Untold:
    rule: Rule
    hook: OnFailure
    first: list[Failure] = field(default_factory=list)
    count: int = 0


class Failures:
    """A clock in seconds is passed in. Not thread-safe. What is kept is bounded by the number of rules."""

    def __init__(self) -> None:
        self._untold: dict[str, _Untold] = {}
        self._told: dict[str, float] = {}

    def note(self, rule: Rule, failure: Failure) -> None:
        """A picture failed. Heard of by the rule's hook as it is now, if it has one."""
        if rule.on_failure is None:
            return
        untold = self._untold.setdefault(rule.name, _Untold(rule, rule.on_failure))
        untold.rule, untold.hook = rule, rule.on_failure
        untold.count += 1
        if len(untold.first) < FIRST:
            untold.first.append(failure)

    def due(self, now: float, busy: Collection[str], *, at_once: bool) -> Iterator[Event]:
        """What is to be told now, but for rules that are `busy` with a hook. `at_once`: whatever `every` says."""
        for name in list(self._untold):
            if name not in busy and (at_once or now >= self._due_at(name)):
                self._told[name] = now
                yield _event(self._untold.pop(name))

    def next_due(self) -> float:
        """When the next is due, if its hook is free; infinity: there is none."""
        return min(map(self._due_at, self._untold), default=float("inf"))

    def _due_at(self, name: str) -> float:
        return self._told.get(name, float("-inf")) + self._untold[name].hook.every

    def rest(self) -> list[Event]:
        """All that is left, which will not be told."""
        return [_event(untold) for untold in self._untold.values()]

    def renamed(self, names: Mapping[str, str]) -> None:
        """Rules have new names, given by the old."""
        self._untold = {names.get(name, name): untold for name, untold in self._untold.items()}
        self._told = {names.get(name, name): when for name, when in self._told.items()}


def _event(untold: _Untold) -> Event:
    return failure_event(untold.rule, untold.hook, untold.first, untold.count)
