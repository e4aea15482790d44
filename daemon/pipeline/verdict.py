"""What becomes of a job that met an error: the class decides. Pure."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from daemon.errors import BlockedError, DarkroomError, SourceChanged, SourceGone, StillWritten, TransientError
from daemon.ledger import Move
from daemon.model import Job, State

MAX_BACKOFF = 8.0
MAX_PAUSE = 30.0
LOOK_AGAIN = 1.0
SELDOM = 0.1
"""Of a job's age, the wait until another look: each leaves lines in its history, and a file may stay open for days."""


def verdict(job: Job, error: DarkroomError, retries: int, now: float, pause: float = 0.0) -> Move:
    """The move that follows an error. `now` in seconds since the epoch; `pause` seconds for a blocked rule."""
    reason = str(error)
    if isinstance(error, SourceGone | SourceChanged):
        return Move(job.id, State.SKIPPED, reason, gone=True)
    if isinstance(error, StillWritten):
        wait = min(max(LOOK_AGAIN, SELDOM * (now - job.created)), MAX_PAUSE)
        return Move(job.id, State.WAITING, reason, not_before=now + wait)
    if isinstance(error, BlockedError):
        return Move(job.id, State.WAITING, reason, not_before=now + pause)
    if isinstance(error, TransientError) and job.attempts < retries:
        attempts = job.attempts + 1
        wait = min(2.0**job.attempts, MAX_BACKOFF)
        text = f"try {attempts} of {retries + 1} failed, again in {wait:g} s: {reason}"
        return Move(job.id, State.WAITING, text, attempts=attempts, not_before=now + wait)
    return Move(job.id, State.FAILED, reason)


@dataclass(slots=True)
class Blockade:
    """A rule that waits for its surroundings: until when, how often in a row, and why."""

    until: float
    times: int
    reason: str

    @property
    def pause(self) -> float:
        """Seconds to wait before the next try: doubling, but bounded, so that work resumes soon after."""
        return min(2.0 ** (self.times - 1), MAX_PAUSE)


class Blockades:
    """The rules that are blocked at the moment."""

    def __init__(self) -> None:
        self._by_rule: dict[str, Blockade] = {}

    def block(self, rule: str, reason: str, now: float) -> tuple[Blockade, bool]:
        """Note that a rule is blocked: (how, whether this is news). Failures of the same moment count once."""
        before = self._by_rule.get(rule)
        if before is not None and now < before.until:
            return before, False
        blockade = Blockade(0.0, before.times + 1 if before else 1, reason)
        blockade.until = now + blockade.pause
        self._by_rule[rule] = blockade
        return blockade, before is None

    def lift(self, rule: str) -> bool:
        """A rule works; True if it was blocked before."""
        return self._by_rule.pop(rule, None) is not None

    def open(self, rule: str, now: float) -> bool:
        """Whether jobs of this rule may be claimed."""
        blockade = self._by_rule.get(rule)
        return blockade is None or now >= blockade.until

    def probed(self, rule: str, now: float) -> None:
        """One job of a blocked rule is tried: no further one until it has succeeded or a longer pause is over."""
        if (blockade := self._by_rule.get(rule)) is not None:
            blockade.times += 1
            blockade.until = now + blockade.pause

    def undecided(self, rule: str, now: float) -> None:
        """The job tried ended for a reason of its own and proved nothing: the next may be tried at once."""
        if (blockade := self._by_rule.get(rule)) is not None:
            blockade.until = now

    def keep(self, rules: Container[str]) -> None:
        """The rules were edited: forget the others."""
        self._by_rule = {rule: blockade for rule, blockade in self._by_rule.copy().items() if rule in rules}

    def reasons(self) -> dict[str, str]:
        """Blocked rules and why."""
        return {rule: blockade.reason for rule, blockade in self._by_rule.copy().items()}

    def times(self, rule: str) -> int:
        """How often in a row this rule was found blocked."""
        blockade = self._by_rule.get(rule)
        return 0 if blockade is None else blockade.times
