"""`darkroom check --explain FILE`: what each rule would do with a file, without doing it. The file need not exist."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.foresight.foresight import End, Foreseen, Foresight, source_after
from daemon.foresight.homes import Home, fixed_role, home_of, own_work
from daemon.groups.gathering import gather
from daemon.groups.groups import Group, compose, places_of
from daemon.groups.listing import Listing
from daemon.groups.patterns import Place
from daemon.intake.scan import look
from daemon.intake.settle import Settler, Sighting
from daemon.ledger import Ledger
from daemon.ledger.reading import ReadLedger
from daemon.model import Conditions, Config, Fingerprint, Input, Job, Member, Rule, State

_ABSENT = Fingerprint(0, 0, 0)


def explain(config: Config, paths: Sequence[Path]) -> Iterator[str]:
    """A paragraph for each file: what it is, and a rule or two lines about each rule."""
    with closing(ReadLedger(config.state_dir / "ledger.db", copies=True)) as ledger:
        foresight = Foresight(config, ledger, thorough=True)
        for path in paths:
            yield from _Explained(config, ledger, foresight, os.path.abspath(path)).lines()


@dataclass(frozen=True, slots=True)
class _Explained:
    """One file. `full` is its absolute path."""

    config: Config
    ledger: Ledger
    foresight: Foresight
    full: str

    def lines(self) -> Iterator[str]:
        sighting = look("", self.full)
        if own := own_work(self.config, self.ledger, self.full):
            yield f"{self.full}: {own}; never taken as input"
            return
        yield f"{self.full}: {self._what(sighting)}"
        others = [rule for rule in self.config.rules if not self._concerns(rule)]
        for rule in self.config.rules:
            if rule in others and len(others) < len(self.config.rules):
                continue
            for number, line in enumerate(self._rule(rule, sighting)):
                yield f"    {line}" if number else f"  {rule.name}: {line}"
        if 0 < len(others) < len(self.config.rules):
            yield f"  no other rule: it does not lie in the folders of {', '.join(rule.name for rule in others)}"

    def _concerns(self, rule: Rule) -> bool:
        """Whether the file lies in a folder of the rule, or is its fixed input."""
        return home_of(rule, self.full) is not None or fixed_role(rule, self.full) is not None

    def _what(self, sighting: Sighting | None) -> str:
        if sighting is not None:
            return f"{sighting.fingerprint.size:,} bytes"
        if os.path.lexists(self.full):
            return "not a file that can be read"
        return "there is no such file; what depends on its content is not known"

    # -- one rule ------------------------------------------------------------------------------------------------

    def _rule(self, rule: Rule, sighting: Sighting | None) -> Iterator[str]:
        if (home := home_of(rule, self.full)) is None:
            role, watched = fixed_role(rule, self.full), ", ".join(map(str, rule.watch))
            yield f"has it as the {role} of every group" if role else f"no: it does not lie in {watched}"
        elif home.refusal is not None:
            yield f"no: {home.refusal}"
        elif rule.inputs:
            for wanted, place in places_of(rule.inputs, home.relative):
                yield from self._member(rule, home, wanted, place, sighting)
        else:
            job = _job(rule, home.root, home.relative, sighting.fingerprint if sighting else _ABSENT)
            yield from self._job(rule, job, (), sighting)

    def _member(self, rule: Rule, home: Home, wanted: Input, place: Place, sighting: Sighting | None) -> Iterator[str]:
        group = self._group(rule, home, wanted, place, sighting)
        role = f"takes it as {wanted.role} of group {place.name}"
        if group.trouble:
            yield f"{role}, which fails: {group.trouble}"
        elif group.lacks:
            yield f"{role}, which waits for {group.lacks}"
        else:
            job = _job(rule, home.root, place.name, group.fingerprint)
            yield from self._job(rule, job, group.members, sighting, role)

    def _group(self, rule: Rule, home: Home, wanted: Input, place: Place, sighting: Sighting | None) -> Group:
        """The group as it is; with this file, if that is not there yet."""
        gathered = gather(rule, home.root, [place], Listing(home.root), self.ledger)
        members = gathered[0].group.members if gathered else ()
        if sighting is None:
            members = (*members, Member(wanted.role, home.path, _ABSENT))
        found = {each.role: [member for member in members if member.role == each.role] for each in rule.inputs}
        return compose(rule.inputs, place, found, home.root)

    # -- one job -------------------------------------------------------------------------------------------------

    def _job(
        self, rule: Rule, job: Job, members: Sequence[Member], sighting: Sighting | None, takes: str = "takes it"
    ) -> Iterator[str]:
        known = self.ledger.newest_groups(rule.name, job.root, [job.relative]).get(job.relative)
        if known is not None and known.fingerprint == job.fingerprint and known.state is not State.WAITING:
            output = f", {known.output}" if known.output else ""
            yield f"{takes}; done already: job {known.id} is {known.state.value}{output} ({known.reason})"
            return
        seen = self.foresight.of(rule, job, members) if sighting else self._unseen(rule, job)
        yield f"{takes}{_told(seen)}"
        yield from seen.notes
        if known is not None:
            same = known.fingerprint == job.fingerprint
            yield f"job {known.id} waits for it" if same else f"job {known.id} had another version: {known.state.value}"
        if sighting is not None and not Settler(self.config.settle).still(sighting, time.time()):
            yield f"once it has been still for {self.config.settle:g} s"
        if seen.end is End.PROCESS:
            yield source_after(rule, job, self.full if members else None) + self._others(rule)

    def _unseen(self, rule: Rule, job: Job) -> Foreseen:
        """Where the result of a file would go that is not there."""
        notes = ("if it meets `when`, which is not known without it",) if rule.when != Conditions() else ()
        try:
            return self.foresight.placed(rule, job, None, notes)
        except DarkroomError as error:
            return Foreseen(End.FAIL, str(error))

    def _others(self, rule: Rule) -> str:
        """The rules that a source that goes has to wait for."""
        if rule.keeps_source:
            return ""
        homes = [(other, home_of(other, self.full)) for other in self.config.rules if other is not rule]
        names = [other.name for other, home in homes if home is not None and home.refusal is None]
        return f", once rule {' and rule '.join(names)} had it too" if names else ""


def _told(seen: Foreseen) -> str:
    if seen.end is End.PROCESS:
        return f" → {seen.output}" if seen.output else ""
    verb = {End.SKIP: "skips it", End.FAIL: "fails", End.LATER: "tries again later"}[seen.end]
    return f" and {verb}: {seen.reason}"


def _job(rule: Rule, root: str, relative: str, fingerprint: Fingerprint) -> Job:
    return Job(0, rule.name, root, relative, fingerprint, State.WAITING, "")
