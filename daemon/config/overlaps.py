"""Rules that meet: the same file taken twice, or two pictures that would have one name. Each is shown by an example.

Examples are searched for (`daemon.config.globs`) and rendered by the templates themselves, so that no warning is about
what cannot happen.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from daemon.config.faults import Where
from daemon.config.globs import Paths, common, grouped, matching, stem
from daemon.errors import OutputRefused
from daemon.model import Conditions, Fingerprint, Job, OnConflict, Rule, SourceAction, State
from daemon.publishing.entries import entry_of
from daemon.publishing.naming import fields_of, sizes
from daemon.publishing.template import EXTENSIONS
from kernels.chain import fixed_size

_VERSION = Fingerprint(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Subject:
    """A rule, and which of `rules:` it is."""

    index: int
    rule: Rule

    def watched(self) -> Iterator[tuple[Where, Path]]:
        """Its watched folders, each with its key."""
        for number, folder in enumerate(self.rule.watch):
            yield ("rules", self.index, "watch", *([number] if len(self.rule.watch) > 1 else [])), folder

    def paths(self, below: str = "") -> Paths:
        """The files it takes; those of a folder below the watched one, without its name."""
        patterns = tuple(each.pattern.text for each in self.rule.inputs if each.pattern)
        wanted = (matching(self.rule.match), *([grouped(patterns)] if self.rule.inputs else []))
        return Paths(wanted, self.rule.recursive, below)


def file_in(path: str | Path, base: Path) -> str:
    """A path for people: from the folder of config.yaml, if it lies there."""
    return str(Path(path).relative_to(base)) if Path(path).is_relative_to(base) else str(path)


# -- the same files ----------------------------------------------------------------------------------------------


class _Both(NamedTuple):
    """An earlier rule that takes a file too, and an example, as an absolute path."""

    other: Subject
    file: str


def shared_files(rules: Sequence[Subject], base: Path) -> Iterator[tuple[Where, str, str]]:
    """Rules that take files of an earlier rule. Those that only share them are told of together."""
    for number, each in enumerate(rules):
        for where, folder in each.watched():
            calm = list[_Both]()
            for other in rules[:number]:
                if (file := _shared(each, folder, other)) is None:
                    continue
                if words := _trouble(each.rule, other.rule, file_in(file, base)):
                    yield (where, *words)
                elif not _same_output(each.rule, other.rule, file):
                    calm.append(_Both(other, file))
            if calm:
                yield (where, *_calm(calm, base))


def _shared(each: Subject, folder: Path, other: Subject) -> str | None:
    """A file below a watched folder of the one that the other takes too."""
    if _exclude(each.rule.when, other.rule.when) or _exclude(other.rule.when, each.rule.when):
        return None
    for root in other.rule.watch:
        one, outer = f"{os.path.realpath(folder)}/", f"{os.path.realpath(root)}/"
        if one.startswith(outer) or outer.startswith(one):
            inner, named = (one, folder) if len(one) >= len(outer) else (outer, root)
            relative = common(each.paths(inner[len(one) :]), other.paths(inner[len(outer) :]))
            if relative is not None:
                return f"{named}/{relative}"
    return None


def _exclude(one: Conditions, other: Conditions) -> bool:
    """Whether no picture meets the conditions of both: two rules may well share a folder to sort what is in it."""
    bounds = ((one.max_width, other.min_width), (one.max_height, other.min_height))
    colors = one.color is not None and other.color is not None and one.color != other.color
    return colors or any(high is not None and low is not None and high < low for high, low in bounds)


def _calm(shared: Sequence[_Both], base: Path) -> tuple[str, str]:
    names = [both.other.rule.name for both in shared]
    which = f"rule {names[0]} takes" if len(names) == 1 else f"rules {', '.join(names)} take"
    remedy = "that is well if each is to make its own result; else narrow `match`, or remove a rule"
    return f"{which} the same files, such as {file_in(shared[0].file, base)}", remedy


def _trouble(one: Rule, other: Rule, file: str) -> tuple[str, str] | None:
    """What sharing files leads to where sources are not kept."""
    removing = [rule for rule in (other, one) if not rule.keeps_source]
    if not removing:
        return None
    if len(removing) == 2:
        what = "and both delete or move their sources: the one that ends last does, also if the other failed"
    else:
        verb = "deletes" if removing[0].source.action is SourceAction.DELETE else "moves"
        who, left = (f"rule {other.name}", "this one") if removing[0] is other else ("this one", f"rule {other.name}")
        what = f"and {who} {verb} its sources: a picture on which {left} failed is gone all the same"
    return f"rule {other.name} takes the same files, such as {file}, {what}", "keep the sources, or narrow `match`"


# -- the same names ----------------------------------------------------------------------------------------------


def shared_names(rules: Sequence[Subject], base: Path) -> Iterator[tuple[Where, str, str]]:
    """Templates by which two pictures get one name. With on_conflict: rename, both have their own all the same."""
    earlier: dict[str, list[_Sample]] = {}
    for each in rules:
        if each.rule.publishes:
            if each.rule.on_conflict is not OnConflict.RENAME:
                yield from _within(each, base)
            yield from _between(each, earlier)


def _fate(*rules: Rule) -> str:
    """What becomes of two results with one name."""
    if all(rule.on_conflict is OnConflict.SKIP for rule in rules):
        return "and the later one is skipped"
    if all(rule.on_conflict is OnConflict.OVERWRITE and rule.keeps_source for rule in rules):
        return "and the later one replaces the earlier"
    if all(rule.on_conflict is OnConflict.OVERWRITE and not rule.keeps_source for rule in rules):
        return "and the later one fails"
    return "and only one of the two may stay"


def _within(each: Subject, base: Path) -> Iterator[tuple[Where, str, str]]:
    """Two files of one rule with one name."""
    for one, two, output, remedy in _alike(each):
        files = f"{file_in(one, base)} and {file_in(two, base)} both become {file_in(output, base)}"
        problem = f"{files}, {_fate(each.rule)}"
        yield ("rules", each.index, "output"), problem, f"{remedy}, or write on_conflict: rename"


def _alike(each: Subject) -> Iterator[tuple[str, str, str, str]]:
    """Two files of one rule with one name: their paths, the name, and the remedy."""
    rule, roots = each.rule, [str(root) for root in each.rule.watch]
    if (name := common(each.paths())) is None:
        return
    name = "x" if rule.inputs else name
    if len(roots) > 1 and (output := _output(rule, name)):
        yield f"{roots[0]}/{name}", f"{roots[1]}/{name}", output, "give each folder a rule of its own"
    if found := _in_two_folders(rule, name):
        yield f"{roots[0]}/{found[0]}", f"{roots[0]}/{found[1]}", found[2], "put {dir} into it"
    if found := _with_two_endings(each):
        yield f"{roots[0]}/{found[0]}", f"{roots[0]}/{found[1]}", found[2], "put {name} or {ext} into it"


def _in_two_folders(rule: Rule, name: str) -> tuple[str, str, str] | None:
    """A name that is taken in two subfolders, and becomes the same."""
    folder, _, last = name.rpartition("/")
    inner = [f"{folder}/{below}/{last}" for below in "xy"] if folder else []
    for one, two in ([f"{above}/{name}" for above in "xy"], inner or [name, name]):
        taken = rule.recursive and (bool(rule.inputs) or (rule.takes(one) and rule.takes(two)))
        if taken and one != two and (output := _output(rule, one)) and output == _output(rule, two):
            return one, two, output
    return None


def _with_two_endings(each: Subject) -> tuple[str, str, str] | None:
    """Two files of one folder whose names differ in their endings alone, and become the same."""
    paths, samples = each.paths(), _samples(each)
    for one, two in sorted(itertools.combinations(samples, 2), key=_look_alike):
        if one.output == two.output and (name := stem((paths, (one.ending, two.ending)))) is not None:
            return f"{name}{one.ending}", f"{name}{two.ending}", _output(each.rule, f"{name}{one.ending}") or one.output
    return None


def _between(each: Subject, earlier: dict[str, list[_Sample]]) -> Iterator[tuple[Where, str, str]]:
    """Earlier rules whose pictures or groups get the name of one of this rule, which is then among them."""
    told, samples = set[int](), _samples(each)
    for mine in samples:
        for theirs in earlier.get(entry_of(mine.output), ()):
            other = theirs.subject
            renamed = each.rule.on_conflict is other.rule.on_conflict is OnConflict.RENAME
            if renamed or other.index in told or (name := _met(mine, theirs)) is None:
                continue
            told.add(other.index)
            problem = f"{name}{theirs.ending} of rule {other.rule.name} and one of this rule become the same file"
            remedy = "put {rule} into it, or name another folder"
            yield ("rules", each.index, "output"), f"{problem}, {_fate(each.rule, other.rule)}", remedy
    for mine in samples:
        earlier.setdefault(entry_of(mine.output), []).append(mine)


class _Sample(NamedTuple):
    """What a rule makes of a picture called x with this ending, or of a group called x, which has none."""

    subject: Subject
    ending: str
    output: str


def _samples(each: Subject) -> list[_Sample]:
    endings = [""] if each.rule.inputs else [f".{extension}" for extension in EXTENSIONS]
    outputs = [(ending, _output(each.rule, f"x{ending}")) for ending in endings]
    return [_Sample(each, ending, output) for ending, output in outputs if output is not None]


def _met(one: _Sample, other: _Sample) -> str | None:
    """What can stand for x in both; a group can be called anything."""
    asked = [(each.subject.paths(), (each.ending,)) for each in (one, other) if not each.subject.rule.inputs]
    return stem(*asked)


def _look_alike(pair: tuple[_Sample, _Sample]) -> bool:
    """Endings that are spellings of one another make poor examples."""
    return pair[0].ending[1] == pair[1].ending[1]


def _same_output(one: Rule, other: Rule, file: str) -> bool:
    """Whether both give a file they share the same name; `shared_names` tells of it."""
    name = os.path.basename(file)
    both = not one.inputs and not other.inputs and one.publishes and other.publishes
    outputs = [_output(rule, name) for rule in (one, other)] if both else []
    return None not in outputs and len({entry_of(output) for output in outputs if output}) == 1


def _output(rule: Rule, relative: str) -> str | None:
    """Where the rule would put the result of a file, or group; `{width}` stays in it where the steps give none."""
    job = Job(0, rule.name, "", relative, _VERSION, State.WAITING, "")
    try:
        return rule.output.render(fields_of(job) | sizes(*fixed_size(rule.chain)))
    except OutputRefused:
        return None
