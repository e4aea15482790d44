"""Files that belong together: from files touched to jobs of whole groups, or of groups that wait for the rest.

A group is always put together from what lies on the disk, whatever the order in which its files came.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from daemon.errors import PermanentError
from daemon.groups.gathering import Gathered, gather, takes
from daemon.groups.groups import Group, places_of
from daemon.groups.listing import Listing
from daemon.groups.patterns import Place
from daemon.intake.hints import Hints
from daemon.intake.scan import look
from daemon.intake.settle import Settler, Sighting
from daemon.ledger import Arrival, IllegalMoveError, Ledger, Move
from daemon.model import Config, Fingerprint, Job, Member, Rule, State
from daemon.publishing import receipts

BATCH = 512  # groups entered in one transaction


class Grouping:
    """The rules with inputs. `touch` notes which groups to look at; `enter` looks, and enters what is new and still.

    `complain` gets lines for the user; `ended(job, move)` is told of a group that failed, since it can be no job.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        settler: Settler,
        *,
        complain: Callable[[str], None],
        ended: Callable[[Job, Move], None],
    ) -> None:
        self._path = config.path
        self._ledger = ledger
        self._settler = settler
        self._complain = complain
        self._ended = ended
        self._rules: dict[str, list[Rule]] = {}
        for rule in config.rules:
            for root in rule.watch if rule.inputs else ():
                self._rules.setdefault(str(root), []).append(rule)
        self._touched: dict[tuple[str, str], set[Place]] = {}
        self._closed = set[tuple[str, str]]()
        self._proven: dict[tuple[str, str], Fingerprint] = {}
        self._seen = {path: _version(path) for rules in self._rules.values() for r in rules for path in _fixed(r)}

    @property
    def roots(self) -> frozenset[str]:
        """The watched folders of rules with inputs: there, a file that goes away matters too."""
        return frozenset(self._rules)

    # -- what happened -------------------------------------------------------------------------------------------

    def touch(self, root: str, relative: str, *, closed: bool = False) -> None:
        """A file was found, or something happened to it: its groups are to be looked at."""
        for rule in self._rules.get(root, ()):
            if takes(rule, root, relative):
                for _, place in places_of(rule.inputs, relative):
                    self._touch(root, rule, place)
                    if closed:
                        self._closed.add((root, relative))

    def _touch(self, root: str, rule: Rule, place: Place) -> None:
        self._touched.setdefault((root, rule.name), set()).add(place)

    def touch_waiting(self, root: str) -> None:
        """All that wait are to be looked at: files may have gone while nobody watched, or the rule was changed."""
        for rule in self._rules.get(root, ()):
            for name in self._ledger.waiting_groups(rule.name, root):
                self._touch(root, rule, Place.named(name))

    def gone(self, root: str, relative: str) -> None:
        """A file is no longer there."""
        self._proven.pop((root, relative), None)
        self.touch(root, relative)

    def still(self, sighting: Sighting) -> frozenset[str]:
        """A file that was held is still. Folders to scan again for it: a fixed file is of every group of its rules."""
        self._proven[sighting.root, sighting.relative] = sighting.fingerprint
        self.touch(sighting.root, sighting.relative)
        return frozenset() if sighting.root else self._roots_with(Path(sighting.relative))

    def changed_fixed(self) -> frozenset[str]:
        """Look at the fixed files: the folders to scan again because one of them is not what it was."""
        changed = {path: now for path, before in self._seen.items() if (now := _version(path)) != before}
        self._seen |= changed
        return frozenset[str]().union(*map(self._roots_with, changed))

    def _roots_with(self, fixed: Path) -> frozenset[str]:
        return frozenset(root for root, rules in self._rules.items() if any(fixed in _fixed(rule) for rule in rules))

    # -- what becomes of it --------------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Look at every group that was touched; whether jobs were entered."""
        touched, self._touched = self._touched, {}
        listings = {root: Listing(root) for root, _ in touched}
        entered = False
        for (root, name), places in touched.items():
            rule = next(rule for rule in self._rules[root] if rule.name == name)
            ordered = sorted(places)
            for start in range(0, len(ordered), BATCH):
                entered |= self._enter(rule, root, ordered[start : start + BATCH], listings[root])
        self._closed.clear()
        return entered

    def _enter(self, rule: Rule, root: str, places: Sequence[Place], listing: Listing) -> bool:
        """One transaction's worth of groups of one rule and folder."""
        # The ledger first: a group whose files darkroom removes in this moment is then known to be done.
        jobs = self._ledger.newest_groups(rule.name, root, [place.name for place in places])
        members = self._ledger.members([job.id for job in jobs.values()])
        batch, new = gather(rule, root, places, listing, self._ledger), list[Gathered]()
        for each in batch:
            job = jobs.get(each.group.name)
            known = members.get(job.id, ()) if job else ()
            if not each.group.own:
                self._skip(job)
            elif not _is_new(each.group, job, known):
                self._forget(each)
            elif self._is_still(each, known):
                new.append(each)
        self._add(rule, root, new)
        self._fail(rule, _unfailed([each.group for each in batch], jobs))
        return bool(new)

    def _skip(self, job: Job | None) -> None:
        if job is not None and job.state is State.WAITING:
            reason = "gone: none of its files is there any more"
            move = Move(job.id, State.SKIPPED, reason, gone=True, only_from=(State.WAITING,))
            with contextlib.suppress(IllegalMoveError):  # taken, or cancelled, in this moment
                self._ledger.advance([move])

    def _is_still(self, each: Gathered, known: Sequence[Member]) -> bool:
        """Whether each file is: by its times, by our own proof, or as the newest job has it. Others are held."""
        before = {(member.path, member.fingerprint) for member in known}
        moving = [s for s in each.sightings if (s.path, s.fingerprint) not in before and not self._rests(s)]
        for sighting in moving:
            closed = (sighting.root, sighting.relative) in self._closed
            self._settler.hold(sighting.as_closed() if closed else sighting, time.monotonic())
        return not moving

    def _rests(self, sighting: Sighting) -> bool:
        proof = self._proven.get((sighting.root, sighting.relative))
        return proof == sighting.fingerprint or self._settler.still(sighting, time.time())

    def _forget(self, each: Gathered) -> None:
        """What was proven of its files is in the ledger by now."""
        for sighting in each.sightings:
            if sighting.root:
                self._proven.pop((sighting.root, sighting.relative), None)

    def _add(self, rule: Rule, root: str, new: Sequence[Gathered]) -> None:
        if not new:
            return
        groups = [each.group for each in new]
        arrivals = [
            Arrival(rule.name, root, g.name, g.fingerprint, self._reason(g, root), g.members, g.lacks) for g in groups
        ]
        ids = self._ledger.add(arrivals)
        for each in new:
            self._forget(each)
        self._fail(rule, [job for job, group in zip(ids, groups, strict=True) if group.trouble])

    def _reason(self, group: Group, root: str) -> str:
        if group.lacks and not group.trouble:
            return f"waits for {group.lacks}"
        names = ", ".join(member.path.removeprefix(f"{root}/") for member in group.members)
        return f"found, still for {self._settler.quiet:g} s: {names}"

    def _fail(self, rule: Rule, ids: Sequence[int]) -> None:
        for job in self._ledger.jobs(ids=ids) if ids else ():
            error = PermanentError(job.lacks or job.reason)
            receipts.write(self._ledger, self._path, job, rule.output, error, self._complain)
            move = Move(job.id, State.FAILED, str(error))
            with contextlib.suppress(IllegalMoveError):  # cancelled in this moment
                self._ledger.advance([move])
                self._ended(job, move)


def look_again(ledger: Ledger, hints: Hints, job: Job) -> None:
    """A file of this job was gone or changed when it was read: look at all of them."""
    own = [member.path for member in ledger.members([job.id]).get(job.id, ()) if not member.fixed]
    for path in own or [job.path]:
        hints.file(job.root, path.removeprefix(f"{job.root}/"), closed=False)


def _is_new(group: Group, job: Job | None, known: Sequence[Member]) -> bool:
    """Whether a group is another than the one its newest job is about.

    One that only lost files since it was taken is not: darkroom itself removes them one by one, if it is to.
    """
    if job is None:
        return True
    if group.fingerprint == job.fingerprint:
        return False
    taken = job.lacks is None and job.state is not State.WAITING
    return not (taken and group.missing and set(group.members) <= set(known))


def _unfailed(groups: Iterable[Group], jobs: Mapping[str, Job]) -> list[int]:
    """Jobs that can be none and wait all the same: darkroom was killed before it could say so."""
    known = [(group, jobs[group.name]) for group in groups if group.trouble and group.name in jobs]
    return [job.id for group, job in known if job.state is State.WAITING and job.fingerprint == group.fingerprint]


def _fixed(rule: Rule) -> set[Path]:
    return {each.fixed for each in rule.inputs if each.fixed is not None}


def _version(path: Path) -> Fingerprint | None:
    sighting = look("", str(path))
    return None if sighting is None else sighting.fingerprint
