"""Rules that meet: the same file taken twice, or two pictures that would have one name. Each is shown by an example.

Examples are searched for (`daemon.globs`) and rendered by the templates themselves, so that no warning is about what
cannot happen.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from daemon.config.faults import Where
from daemon.errors import OutputRefused
from daemon.globs import Paths, common, grouped, matching, stem
from daemon.model import Conditions, Fingerprint, Job, OnConflict, Rule, SourceAction, State
from daemon.naming import fields_of
from daemon.template import EXTENSIONS

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
    for root in map(str, other.rule.watch):
        one, outer = f"{folder}/", f"{root}/"
        if one.startswith(outer) or outer.startswith(one):
            inner = max(one, outer, key=len)
            relative = common(each.paths(inner[len(one) :]), other.paths(inner[len(outer) :]))
            if relative is not None:
                return f"{inner}{relative}"
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
    publishing = [each for each in rules if each.rule.publishes]
    for number, each in enumerate(publishing):
        where = ("rules", each.index, "output")
        if each.rule.on_conflict is not OnConflict.RENAME:
            for (one, two), output, remedy in _within(each):
                files = f"{file_in(one, base)} and {file_in(two, base)} both become {file_in(output, base)}"
                yield where, f"{files}, {_fate(each.rule)}", f"{remedy}, or write on_conflict: rename"
        for other in publishing[:number]:
            renamed = each.rule.on_conflict is other.rule.on_conflict is OnConflict.RENAME
            if not renamed and (found := _between(each, other)):
                problem = f"{found} of rule {other.rule.name} and one of this rule become the same file"
                remedy = "put {rule} into it, or name another folder"
                yield where, f"{problem}, {_fate(each.rule, other.rule)}", remedy


def _fate(*rules: Rule) -> str:
    """What becomes of two results with one name."""
    if all(rule.on_conflict is OnConflict.SKIP for rule in rules):
        return "and the later one is skipped"
    if all(rule.on_conflict is OnConflict.OVERWRITE and rule.keeps_source for rule in rules):
        return "and the later one replaces the earlier"
    if all(rule.on_conflict is OnConflict.OVERWRITE and not rule.keeps_source for rule in rules):
        return "and the later one fails"
    return "and only one of the two may stay"


def _within(each: Subject) -> Iterator[tuple[tuple[str, str], str, str]]:
    """Two files of one rule with one name: their paths, the name, and the remedy."""
    rule, roots = each.rule, [str(root) for root in each.rule.watch]
    example = common(each.paths())
    name = example if example is None or not rule.inputs else "x"
    if name is not None and len(roots) > 1 and (output := _output(rule, name)):
        yield (f"{roots[0]}/{name}", f"{roots[1]}/{name}"), output, "give each folder a rule of its own"
    if name is not None and (found := _in_two_folders(rule, name)):
        yield (f"{roots[0]}/{found[0]}", f"{roots[0]}/{found[1]}"), found[2], "put {dir} into it"
    if not rule.inputs and (found := _with_two_endings(each)):
        yield (f"{roots[0]}/{found[0]}", f"{roots[0]}/{found[1]}"), found[2], "put {name} or {ext} into it"


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
    paths = each.paths()
    for one, two in sorted(itertools.combinations(EXTENSIONS, 2), key=_look_alike):
        if not _alike(each.rule, each.rule, one, two):
            continue
        name = stem((paths, (f".{one}", f".{two}")))
        if name is not None and (output := _output(each.rule, f"{name}.{one}")):
            return f"{name}.{one}", f"{name}.{two}", output
    return None


def _look_alike(pair: tuple[str, str]) -> bool:
    """Endings that are spellings of one another make poor examples."""
    return pair[0][0] == pair[1][0]


def _between(each: Subject, other: Subject) -> str | None:
    """A picture or group of the other rule that gets the name of one of this rule."""
    if each.rule.output.folder != other.rule.output.folder:
        return None
    for one, two in itertools.product(_endings(each.rule), _endings(other.rule)):
        if not _alike(each.rule, other.rule, one, two):
            continue
        asked = [(side.paths(), (f".{end}",)) for side, end in ((each, one), (other, two)) if not side.rule.inputs]
        if (name := stem(*asked)) is not None:
            return _named(other.rule, name or "x", two)
    return None


def _endings(rule: Rule) -> Sequence[str]:
    return ("",) if rule.inputs else EXTENSIONS


def _named(rule: Rule, stem: str, ending: str) -> str:
    return stem if rule.inputs else f"{stem}.{ending}"


def _alike(one: Rule, other: Rule, ending: str, others: str) -> bool:
    """Whether the templates tell two names with these endings apart."""
    first = _output(one, _named(one, "x", ending))
    return first is not None and first == _output(other, _named(other, "x", others))


def _same_output(one: Rule, other: Rule, file: str) -> bool:
    """Whether both give a file they share the same name; `shared_names` tells of it."""
    name = os.path.basename(file)
    both = not one.inputs and not other.inputs and one.publishes and other.publishes
    return both and _output(one, name) == _output(other, name)


def _output(rule: Rule, relative: str) -> str | None:
    """Where the rule would put the result of a file, or group, below its watched folder."""
    job = Job(0, rule.name, "", relative, _VERSION, State.WAITING, "")
    try:
        return rule.output.render(fields_of(job))
    except OutputRefused:
        return None
