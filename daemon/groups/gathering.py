"""The files of groups, as they lie on the disk now: looked up, known by role, darkroom's own left out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.groups.groups import Group, compose, places_of
from daemon.groups.listing import Listing
from daemon.groups.patterns import Place
from daemon.intake.scan import look
from daemon.intake.settle import Sighting
from daemon.ledger import Ledger
from daemon.model import Input, Member, Rule


@dataclass(frozen=True, slots=True)
class Gathered:
    """A group, and the look at each of its files."""

    group: Group
    sightings: tuple[Sighting, ...]


def gather(rule: Rule, root: str, places: Iterable[Place], listing: Listing, ledger: Ledger) -> list[Gathered]:
    """The groups at these places. One in a folder that cannot be listed is left out: nothing is known of it."""
    fixed = {each.role: _look("", [str(each.fixed)]) for each in rule.inputs if each.fixed}
    found = list[tuple[Place, dict[str, list[Sighting]]]]()
    for place in places:
        with contextlib.suppress(OSError):  # the scan tells of it
            found.append((place, {i.role: _files(rule, root, i, place, listing) for i in rule.inputs if i.pattern}))
    ours = _own(found, ledger)
    return [_gathered(rule, root, place, _without(files, ours) | fixed) for place, files in found]


def _files(rule: Rule, root: str, wanted: Input, place: Place, listing: Listing) -> list[Sighting]:
    assert wanted.pattern is not None
    taken = [
        relative
        for relative in listing.files(wanted.pattern, place)
        if takes(rule, root, relative) and any(each.role == wanted.role for each, _ in places_of(rule.inputs, relative))
    ]
    return _look(root, taken)


def takes(rule: Rule, root: str, relative: str) -> bool:
    """Whether a file may be of a group of this rule: a fixed one is in its place already."""
    path = f"{root}/{relative}"
    return rule.takes(relative) and all(each.fixed is None or str(each.fixed) != path for each in rule.inputs)


def _look(root: str, relatives: Iterable[str]) -> list[Sighting]:
    looks = (look(root, relative) for relative in relatives)
    return [sighting for sighting in looks if sighting is not None]


def _own(found: Sequence[tuple[Place, dict[str, list[Sighting]]]], ledger: Ledger) -> set[object]:
    everything = {s.fingerprint for _, files in found for sightings in files.values() for s in sightings}
    return set(ledger.own(list(everything))) if everything else set()


def _without(files: dict[str, list[Sighting]], ours: set[object]) -> dict[str, list[Sighting]]:
    return {role: [s for s in sightings if s.fingerprint not in ours] for role, sightings in files.items()}


def _gathered(rule: Rule, root: str, place: Place, files: dict[str, list[Sighting]]) -> Gathered:
    members = {
        role: [Member(role, s.path, s.fingerprint, fixed=not s.root) for s in sightings]
        for role, sightings in files.items()
    }
    looks = tuple(sighting for sightings in files.values() for sighting in sightings)
    return Gathered(compose(rule.inputs, place, members, root), looks)
