"""Groups that wait for the rest of their files, and the files of groups, in words for people."""

from __future__ import annotations

import os
from collections.abc import Sequence

from daemon.ledger import Ledger
from daemon.model import Member, Rule

NAMED = 5
"""Groups that are named; of more, only the number is told."""


def waiting(ledger: Ledger, rules: Sequence[Rule]) -> tuple[int, str]:
    """How many groups of these rules wait for files, and what to say of it: `2 groups wait for …: castle (far), …`."""
    counts = ledger.incomplete()
    number = sum(counts.get(rule.name, 0) for rule in rules)
    named = [name for rule in rules if rule.name in counts for name in _named(ledger, rule)][:NAMED]
    verb = "group waits for its partner files" if number == 1 else "groups wait for their partner files"
    more = f" and {number - len(named):,} more" if number > len(named) else ""
    return number, f"{number:,} {verb}: {', '.join(named)}{more}"


def _named(ledger: Ledger, rule: Rule) -> list[str]:
    jobs = ledger.incomplete_jobs(rule.name, NAMED)
    members = ledger.members([job.id for job in jobs])
    return [f"{job.relative} ({', '.join(_missing(rule, members.get(job.id, ())))})" for job in jobs]


def _missing(rule: Rule, members: Sequence[Member]) -> list[str]:
    there = {member.role for member in members}
    return [each.role for each in rule.inputs if each.role not in there] or ["unclear"]


def wanted(rule: Rule) -> str:
    """The files that a group needs: `{key}.near.* (near), /styles/waves.jpg (far)`."""
    return ", ".join(f"{each.pattern.text if each.pattern else each.fixed} ({each.role})" for each in rule.inputs)


def in_words(inputs: dict[str, str]) -> str:
    """The files of a group by role: `near castle.near.jpg, far castle.far.jpg`."""
    return ", ".join(f"{role} {os.path.basename(path)}" for role, path in inputs.items())
