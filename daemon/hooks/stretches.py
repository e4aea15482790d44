"""Stretches of work, rule by rule: from the first job that ended until the rule had nothing to do for a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.hooks.events import Event, idle_event
from daemon.model import Rule, State

LOOK_AGAIN = 1.0
"""Seconds between two looks at whether a rule has work left, at least."""


@dataclass(slots=True)
class _Stretch:
    began: float
    worked: float
    ended: Counter[State] = field(default_factory=Counter)
    look_at: float = 0.0


class Stretches:
    """A clock in seconds is passed in. Not thread-safe."""

    def __init__(self) -> None:
        self._open: dict[str, _Stretch] = {}

    def note(self, rule: Rule, to: State, now: float) -> None:
        """A job of the rule left its work, for this state."""
        if rule.on_idle is None or to is State.WAITING:  # one that is to be tried again is work still
            return
        stretch = self._open.setdefault(rule.name, _Stretch(now, now))
        stretch.ended[to] += 1
        stretch.worked = now
        stretch.look_at = now + rule.on_idle.after

    def quiet(self, now: float, *, at_once: bool) -> list[str]:
        """Rules of which no job ended for as long as they say. `at_once`: however long that is."""
        return [name for name, stretch in self._open.items() if at_once or now >= stretch.look_at]

    def goes_on(self, rule: Rule, now: float) -> None:
        """The rule has work: its quiet begins anew."""
        if rule.on_idle is not None and rule.name in self._open:
            self._open[rule.name].look_at = now + max(LOOK_AGAIN, rule.on_idle.after)

    def close(self, rule: Rule, now: float) -> Event | None:
        """The rule has no work: its stretch is over. The event, unless the rule tells nobody any more."""
        stretch = self._open.pop(rule.name)
        if rule.on_idle is None:
            return None
        return idle_event(rule, rule.on_idle, stretch.ended, stretch.worked - stretch.began, now)

    def forget(self, name: str) -> None:
        """There is no such rule any more."""
        self._open.pop(name, None)

    def next_due(self) -> float:
        """When to look at the next; infinity: there is none."""
        return min((stretch.look_at for stretch in self._open.values()), default=float("inf"))

    def renamed(self, names: Mapping[str, str]) -> None:
        """Rules have new names, given by the old."""
        self._open = {names.get(name, name): stretch for name, stretch in self._open.items()}
