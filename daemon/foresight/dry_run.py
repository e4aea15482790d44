"""`darkroom run --dry-run`: what would be done with everything that waits, in the folders and in the ledger."""

from __future__ import annotations

import enum
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from daemon.foresight.foresight import End, Foreseen, Foresight, is_gone
from daemon.foresight.rehearsal import Key, Rehearsal, rehearse
from daemon.intake.scan import look
from daemon.intake.settle import Settler
from daemon.ledger import Arrival
from daemon.model import Config, Job, Member, OnConflict, Rule, State


class Plan(enum.StrEnum):
    """What would be done with a picture; the words are those of `--json`, and in this order they are told."""

    PROCESS = "process"
    SKIP = "skip"
    FAIL = "fail"
    LATER = "later"
    RUNNING = "running"
    PARTNERS = "partners"
    SETTLE = "settle"
    DONE = "done"
    LEFT = "left"


_TOLD = {
    Plan.PROCESS: "to process",
    Plan.SKIP: "skipped",
    Plan.FAIL: "failing",
    Plan.LATER: "not to be had now",
    Plan.RUNNING: "taken already",
    Plan.PARTNERS: "waiting for partners",
    Plan.SETTLE: "not still yet",
    Plan.DONE: "already done",
    Plan.LEFT: "failed, skipped or cancelled before",
}
_WORDS = {
    Plan.SKIP: "skipped: ",
    Plan.FAIL: "fails: ",
    Plan.LATER: "not now: ",
    Plan.RUNNING: "taken already",
    Plan.PARTNERS: "waits for ",
    Plan.SETTLE: "not still yet: ",
}
_PLANS = {End.PROCESS: Plan.PROCESS, End.SKIP: Plan.SKIP, End.FAIL: Plan.FAIL, End.LATER: Plan.LATER}


@dataclass(frozen=True, slots=True)
class Planned:
    """One picture or group and what would be done with it."""

    rule: str
    root: str
    relative: str
    plan: Plan
    reason: str | None = None
    output: str | None = None
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """It for people: `rule: relative → output`."""
        told = f"{self.rule}: {self.relative}" + (f" → {self.output}" if self.output else "")
        details = "; ".join(filter(None, [_WORDS.get(self.plan, "") + (self.reason or ""), *self.notes]))
        return f"{told}: {details}" if details else told


@dataclass(frozen=True, slots=True)
class DryRun:
    """All that would be done; by rule how often; and the watched folders in which nothing can be found."""

    pictures: Sequence[Planned]
    counts: Mapping[str, Counter[Plan]]
    trouble: Mapping[str, str]

    def lines(self) -> Iterator[str]:
        """It for people: a line for each picture, then one for each rule."""
        yield from (each.line() for each in self.pictures)
        for rule, counts in self.counts.items():
            told = [f"{counts[plan]:,} {words}" for plan, words in _TOLD.items() if counts[plan]]
            yield f"{rule}: {', '.join(told) or 'nothing there'}"

    def as_json(self) -> dict[str, Any]:
        """It for programs."""
        return {
            "rules": [
                {"name": rule, "counts": {plan.value: counts[plan] for plan in Plan}}
                for rule, counts in self.counts.items()
            ],
            "pictures": [
                {
                    "rule": each.rule,
                    "source": f"{each.root}/{each.relative}",
                    "plan": each.plan.value,
                    "reason": each.reason,
                    "output": each.output,
                    "notes": list(each.notes),
                }
                for each in self.pictures
            ],
            "unread": [{"folder": folder, "reason": reason} for folder, reason in self.trouble.items()],
        }


def dry_run(config: Config) -> DryRun:
    """Look, and touch nothing: no folder is made, no ledger made or migrated, no lock taken."""
    rules = config.rules_by_name()
    counts = {name: Counter[Plan]() for name in rules}
    with closing(Rehearsal(config.state_dir / "ledger.db")) as ledger:
        trouble = rehearse(config, ledger)
        pictures = sorted(_planned(config, ledger), key=lambda each: (list(rules).index(each.rule), each.relative))
        for key, job in ledger.known.items():
            if key not in ledger.arrivals and job.state not in (State.WAITING, State.RUNNING):
                counts[key.rule][Plan.DONE if job.state is State.DONE else Plan.LEFT] += 1
    pictures = list(_same_names(rules, pictures))
    for each in pictures:
        counts[each.rule][each.plan] += 1
    return DryRun(pictures, counts, trouble)


def _planned(config: Config, ledger: Rehearsal) -> Iterator[Planned]:
    """Everything that is new in the folders, and everything that is open in the ledger and not replaced by it."""
    rules, foresight = config.rules_by_name(), Foresight(config, ledger, thorough=False)
    settler = Settler(config.settle)
    for key, new in ledger.arrivals.items():
        yield _arrived(rules[new.rule], key, new, foresight, settler)
    for state in (State.WAITING, State.RUNNING):
        jobs = [job for job in ledger.jobs(state) if job.rule in rules]
        members = ledger.members([job.id for job in jobs])
        for job in jobs:
            key = Key(job.rule, job.root, job.relative)
            if key not in ledger.arrivals:
                yield _entered(rules[job.rule], key, job, members.get(job.id, ()), foresight)


def _arrived(rule: Rule, key: Key, new: Arrival, foresight: Foresight, settler: Settler) -> Planned:
    if new.lacks is not None:
        waits = new.reason == f"waits for {new.lacks}"
        return Planned(*key, Plan.PARTNERS if waits else Plan.FAIL, new.lacks)
    files = [member.path for member in new.members] or [f"{new.root}/{new.relative}"]
    looks = [sighting for path in files if (sighting := look("", path)) is not None]
    if any(not settler.still(sighting, time.time()) for sighting in looks):
        return Planned(*key, Plan.SETTLE, f"it changed less than {settler.quiet:g} s ago")
    job = Job(0, new.rule, new.root, new.relative, new.fingerprint, State.WAITING, new.reason)
    return _foreseen(key, foresight.of(rule, job, new.members))


def _entered(rule: Rule, key: Key, job: Job, members: Sequence[Member], foresight: Foresight) -> Planned:
    if job.lacks is not None:
        return Planned(*key, Plan.PARTNERS, job.lacks)
    if job.state is State.RUNNING:
        return Planned(*key, Plan.RUNNING)
    if not members and is_gone(job):
        return Planned(*key, Plan.SKIP, "gone: the file is no longer there")
    return _foreseen(key, foresight.of(rule, job, members))


def _foreseen(key: Key, seen: Foreseen) -> Planned:
    return Planned(*key, _PLANS[seen.end], seen.reason, seen.output, seen.notes)


def _same_names(rules: Mapping[str, Rule], pictures: Sequence[Planned]) -> Iterator[Planned]:
    """The pictures, each noting if another would be called the same: the first one, or of that the next."""
    named: dict[str, list[Planned]] = {}
    for each in pictures:
        if each.output and each.plan is Plan.PROCESS:
            named.setdefault(each.output, []).append(each)
    for each in pictures:
        alike = named.get(each.output or "", ()) if each.plan is Plan.PROCESS else ()
        if other := next((other for other in alike if other is not each), None):
            note = f"the name of {other.relative} too: {_fate(rules[each.rule])}"
            each = replace(each, notes=(*each.notes, note))
        yield each


def _fate(rule: Rule) -> str:
    """What becomes of the later one."""
    if rule.on_conflict is OnConflict.OVERWRITE:
        return "the later one replaces the earlier" if rule.keeps_source else "the later one fails"
    return "the later one gets a number" if rule.on_conflict is OnConflict.RENAME else "the later one is skipped"
