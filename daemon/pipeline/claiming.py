"""ledger → work: which waiting jobs are taken up next. A rule that was found blocked sends one job ahead as a probe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from daemon.ledger import Ledger
from daemon.model import Job, Rule
from daemon.pipeline.verdict import Blockades
from daemon.pipeline.work import Recipe, Work
from daemon.rulebook import Rulebook

CLAIM = 256  # jobs claimed in one transaction
CHUNK_JOBS = 16  # small pictures travel together, so that handing over costs less than the work …
CHUNK_BYTES = 1 << 19  # … and large ones alone, so that every core has one
REASON = "taken by darkroom"


class Claiming:
    """Takes jobs over from the ledger, for the rules with a `task`, or for the others.

    A rule without a recipe (no graph yet) has none of its jobs taken.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        blockades: Blockades,
        recipe_of: Callable[[Rule], Recipe | None],
        *,
        task: bool,
    ) -> None:
        self._rulebook = rulebook
        self._task = task
        self._ledger = ledger
        self._blockades = blockades
        self._recipe_of = recipe_of

    def claim(self, limit: int = CLAIM) -> list[Work]:
        """The next jobs, now `running`; up to `limit` of them, and a probe of each blocked rule that is due one."""
        with self._rulebook.changing:  # else jobs of one rule would be taken for another that has its name by now
            rules = {name: rule for name, rule in self._rulebook.rules.items() if rule.is_task is self._task}
            recipes = {name: recipe for name, rule in rules.items() if (recipe := self._recipe_of(rule)) is not None}
            jobs = self._claim_from(list(recipes), time.time(), limit)
        repeats = [job for job in jobs if rules[job.rule].keeps_source and not job.asked_again]
        earlier = self._ledger.earlier_results(repeats)
        return [Work(job, rules[job.rule], recipes[job.rule], earlier.get(job.id)) for job in jobs]

    def _claim_from(self, rules: Sequence[str], now: float, limit: int) -> list[Job]:
        """Jobs of rules that work, and one, as a probe, of each that was found blocked: the rest would be in vain."""
        free = [rule for rule in rules if not self._blockades.times(rule)]
        jobs = list[Job]()
        for rule in set(rules) - set(free):
            if len(jobs) == limit or not self._blockades.open(rule, now):
                continue
            if probe := self._ledger.claim([rule], 1, REASON):
                self._blockades.probed(rule, now)
                jobs += probe
        return jobs + (self._ledger.claim(free, limit - len(jobs), REASON) if free and len(jobs) < limit else [])


def portions(works: Sequence[Work]) -> Iterator[Sequence[Work]]:
    """Works in the order they came, bounded in number and in bytes of their files."""
    chunk, size = list[Work](), 0
    for work in works:
        if chunk and (len(chunk) == CHUNK_JOBS or size + work.job.fingerprint.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(work)
        size += work.job.fingerprint.size
    if chunk:
        yield chunk
