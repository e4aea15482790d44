"""What is doubtful in config.yaml, and works all the same: the warnings of `darkroom check`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from daemon.config.faults import Fault, Where, dotted
from daemon.config.globs import Paths, common, grouped, matching
from daemon.config.overlaps import Subject, file_in, shared_files, shared_names
from daemon.config.yaml_source import Document
from daemon.intake.match import IGNORED, ignored
from daemon.intake.scan import events_arrive
from daemon.model import OnConflict, Rule, SourceAction

Doubt: TypeAlias = tuple[Where, str, str]  # of what, what it is, and what to do

__all__ = ["Subject", "warnings_of"]


def warnings_of(document: Document, rules: Sequence[Subject], base: Path, state_dir: Path | None) -> Iterator[Fault]:
    """Every doubt about these rules, with its place in the file, which lies in `base`."""
    doubts = [*_folders(rules, base), *_outputs(rules, base), *shared_files(rules, base), *shared_names(rules, base)]
    for each in rules:
        doubts += [*_files(each), *_fixed(each), *_sources(each)]
    doubts += _state(state_dir) if state_dir else ()
    for where, problem, remedy in doubts:
        yield Fault(document.place(where), dotted(where), problem, remedy, warns=True)


# -- folders -----------------------------------------------------------------------------------------------------


def _folders(rules: Sequence[Subject], base: Path) -> Iterator[Doubt]:
    """Watched folders in which nothing is found, each told of once."""
    told = set[Path]()
    for each in rules:
        for where, folder in each.watched():
            if folder not in told and (words := _folder(folder, base)):
                told.add(folder)
                yield (where, *words)


def _folder(folder: Path, base: Path) -> tuple[str, str] | None:
    """Why there is doubt about a watched folder (docs/decisions/026-warnings.md), and what to do."""
    there = _nearest(folder)
    if there == folder:
        if not os.path.isdir(folder):
            return f"{folder} is a file and no folder", "name a folder, or move the file away"
        if not os.access(folder, os.R_OK | os.X_OK):
            return f"this user cannot read {folder}", "grant it: nothing in it is taken until it can be read"
        return None
    if not os.path.isdir(there) or not os.access(there, os.W_OK | os.X_OK):
        return f"{folder} does not exist, and this user cannot make it in {there}", "make it, or see to the spelling"
    if not folder.is_relative_to(base):
        return f"{folder} does not exist", "darkroom makes it; see to the spelling, and that its disk is mounted"
    return None


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(each for each in (path, *path.parents) if os.path.exists(each) or each == each.parent)


def _outputs(rules: Sequence[Subject], base: Path) -> Iterator[Doubt]:
    """Folders that are written to, and lie where a rule looks for pictures."""
    for each in rules:
        for key, folder in _written(each.rule):
            watching = [other.rule for other in rules if _sees(other.rule, folder)]
            others = [rule.name for rule in watching if rule is not each.rule]
            if others:
                problem = f"{file_in(folder, base)} lies in a folder that rule {others[0]} watches"
                remedy = "it takes nothing that darkroom wrote: for a chain, give one rule the steps of both"
                yield (("rules", each.index, *key), problem, remedy)
            elif watching:
                problem = f"{file_in(folder, base)} lies in a folder that the rule watches"
                remedy = "that is safe, since darkroom never takes what it wrote; a folder elsewhere is clearer"
                yield (("rules", each.index, *key), problem, remedy)


def _written(rule: Rule) -> Iterator[tuple[Where, str]]:
    """The folders that a rule writes to, each with its key."""
    if rule.publishes:
        yield ("output",), rule.output.folder
    if rule.report:
        yield ("report",), str(rule.report)
    if rule.source.to:
        yield ("source", "move", "to"), rule.source.to.folder


def _sees(rule: Rule, folder: str) -> bool:
    """Whether what lies right in a folder is seen by a scan of one that the rule watches."""
    folder = os.path.realpath(folder)
    for root in map(os.path.realpath, rule.watch):
        below = folder.startswith(f"{root}/") and rule.recursive
        if folder == root or (below and not any(map(ignored, folder[len(root) + 1 :].split("/")))):
            return True
    return False


# -- one rule ----------------------------------------------------------------------------------------------------


def _files(each: Subject) -> Iterator[Doubt]:
    """Patterns that match no file, which a scan would hand over."""
    rule, where = each.rule, ("rules", each.index)
    if common(each.paths()) is None:
        yield (*where, "match"), "the rule takes no file at all", _why_none(rule, rule.match)
        return
    for number, glob in enumerate(rule.match):
        if common(Paths((matching((glob,)),), rule.recursive)) is None:
            yield (*where, "match", number), f"no file is taken by {glob}", _why_none(rule, (glob,))
    for wanted in rule.inputs:
        texts = (wanted.pattern.text,) if wanted.pattern else ()
        if texts and common(Paths((matching(rule.match), grouped(texts)), rule.recursive)) is None:
            problem = f"no file can be the {wanted.role} of a group"
            yield (*where, "inputs", wanted.role), problem, "widen `match`, which has to let it through too"


def _fixed(each: Subject) -> Iterator[Doubt]:
    """Files that every group has, and that are not there."""
    for wanted in each.rule.inputs:
        if wanted.fixed is None:
            continue
        where = ("rules", each.index, "inputs", wanted.role)
        try:
            os.stat(wanted.fixed)
        except (FileNotFoundError, NotADirectoryError):
            yield where, f"{wanted.fixed} is not there", "every group waits until it is; see to the spelling"
        except OSError as error:
            problem = f"{wanted.fixed} cannot be looked at ({error.strerror})"
            yield where, problem, "every group waits until the daemon's user may read it"


def _why_none(rule: Rule, globs: tuple[str, ...]) -> str:
    if not rule.recursive and common(Paths((matching(globs),))) is not None:
        return "it leads into subfolders: write recursive: true, or watch the subfolder"
    if common(Paths((matching(globs),), rule.recursive)) is not None:
        return "`match` and `inputs` have no name in common: let `match` take what the groups are made of"
    return f"write another pattern: {', '.join(IGNORED)} are never taken, and no name holds what this one wants"


def _sources(each: Subject) -> Iterator[Doubt]:
    if each.rule.on_conflict is OnConflict.SKIP and not each.rule.keeps_source:
        verb = "deleted" if each.rule.source.action is SourceAction.DELETE else "moved"
        problem = f"a picture that is skipped, since its output's name is taken, is not {verb} and stays"
        yield ("rules", each.index, "on_conflict"), problem, "write rename, or see to what stays with `darkroom jobs`"


def _state(state_dir: Path) -> Iterator[Doubt]:
    if not events_arrive(str(_nearest(state_dir))):
        problem = f"{state_dir} lies on a network share, where the ledger's locks and its log are not to be trusted"
        yield ("state_dir",), problem, "name a folder on a disk of this machine"
