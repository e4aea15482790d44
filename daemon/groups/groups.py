"""A group of files: put together from what was found, with what is missing and what stands there twice. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from daemon.groups.patterns import Pattern, Place
from daemon.model import Fingerprint, Input, Member


@dataclass(frozen=True, slots=True)
class Group:
    """What there is of a group. `missing`: roles without a file. `trouble`: why it can be no job, and the remedy."""

    place: Place
    members: tuple[Member, ...]
    missing: tuple[Input, ...] = ()
    trouble: str | None = None

    @property
    def name(self) -> str:
        """Its place below the watched folder."""
        return self.place.name

    @property
    def own(self) -> tuple[Member, ...]:
        """The files that are its alone: without them there is no group."""
        return tuple(member for member in self.members if not member.fixed)

    @property
    def lacks(self) -> str | None:
        """What keeps it from being a job, in words; None if nothing does."""
        return self.trouble or (", and ".join(_missing(each, self.place) for each in self.missing) or None)

    @property
    def fingerprint(self) -> Fingerprint:
        """One fingerprint for all of it, so that a file changed, added or taken away makes it a new version."""
        return version_of(self.members, self.missing, self.trouble)


def version_of(members: Sequence[Member], missing: Sequence[Input] = (), trouble: str | None = None) -> Fingerprint:
    """The fingerprint of a group of these files; nothing is missing from one that is whole."""
    import hashlib  # a tenth of the time of `darkroom jobs`, which asks for no fingerprint, to load OpenSSL

    told = [(m.role, m.path, m.fingerprint.size, m.fingerprint.mtime_ns, m.fingerprint.inode) for m in members]
    parts = repr((sorted(told), [each.role for each in missing], trouble))
    digest = hashlib.sha256(parts.encode(errors="surrogateescape")).digest()
    versions = [member.fingerprint for member in members]
    size, latest = sum(v.size for v in versions), max((v.mtime_ns for v in versions), default=0)
    return Fingerprint(size, latest, int.from_bytes(digest[:8], "big") >> 1)  # SQLite's integers have a sign


def _missing(wanted: Input, place: Place) -> str:
    if wanted.pattern is None:
        return f"{wanted.role}: the file {wanted.fixed}"
    return f"{wanted.role}: a file like {wanted.pattern.example(place)}"


def places_of(inputs: Sequence[Input], relative: str) -> Iterator[tuple[Input, Place]]:
    """Every role and group that a file below the watched folder belongs to; more than one is trouble.

    A pattern that is a special case of another goes before it: a.mask.png is the mask of a by `{key}.mask.*`, and not
    the picture of a.mask by `{key}.*`.
    """
    found = list[tuple[Input, Pattern, Place]]()
    for each in inputs:
        if each.pattern is not None and (place := each.pattern.place_of(relative)) is not None:
            found.append((each, each.pattern, place))
    for each, pattern, place in found:
        if not any(pattern.covers(other) and not other.covers(pattern) for _, other, _ in found):
            yield each, place


def compose(inputs: Sequence[Input], place: Place, found: Mapping[str, Sequence[Member]], root: str) -> Group:
    """The group at a place from the files `found` for each role."""
    members = tuple(member for each in inputs for member in found.get(each.role, ()))
    missing = tuple(each for each in inputs if not found.get(each.role))
    trouble = next(_troubles(inputs, place, found, root), None)
    return Group(place, members, missing, trouble)


def is_made_of(inputs: Sequence[Input], name: str, members: Sequence[Member], root: str, lacks: str | None) -> bool:
    """Whether these inputs make the group of that `name` of its files, and it lacks then what it was said to lack."""
    place, found = Place.named(name), dict[str, list[Member]]()
    for member in members:
        found.setdefault(member.role, []).append(member)
        if member.fixed:
            mine = any((each.role, str(each.fixed)) == (member.role, member.path) for each in inputs)
        else:
            places = places_of(inputs, member.path.removeprefix(f"{root}/"))
            mine = (member.role, place) in [(each.role, where) for each, where in places]
        if not mine:
            return False
    return compose(inputs, place, found, root).lacks == lacks


def _troubles(inputs: Sequence[Input], place: Place, found: Mapping[str, Sequence[Member]], root: str) -> Iterator[str]:
    for role, members in found.items():
        names = sorted(member.path.removeprefix(f"{root}/") for member in members)
        if len(names) > 1:
            yield f"two files for {role}, {names[0]} and {names[1]}; take one of them away, or rename it"
        for name in names if not any(member.fixed for member in members) else ():
            for other, elsewhere in places_of(inputs, name):
                if (other.role, elsewhere) != (role, place):
                    yield (
                        f"{name} is both {role} of {place.name} and {other.role} of {elsewhere.name};"
                        " rename it, or make the patterns under `inputs` narrower"
                    )
