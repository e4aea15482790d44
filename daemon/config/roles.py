"""`inputs:` of a rule, held against its task and its templates: every role has a picture, every group a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.config.types import InnerError, KeyFault
from daemon.groups.patterns import KEY
from daemon.model import Input
from daemon.publishing.template import Template
from kernels.chain import Chain, Step, task_of
from kernels.chain import Fault as StepFault
from kernels.parameters import nearest, suggest
from kernels.spec import Task

_OF_FILES = ("stem", "name", "ext")


def check(inputs: Sequence[Input], rule: Mapping[str, Any], *, given: bool) -> None:
    """Raise InnerError if these inputs do not fit the rule, as far as it is read. `given`: the key was written."""
    chain: Chain | None = rule.get("steps")
    task = None if chain is None else task_of(chain)
    alone = task is not None and len(task.inputs) == 1
    faults = list[StepFault]()
    if chain is not None and task is None and given:
        faults.append(KeyFault((), "no step of the rule takes several pictures", "remove inputs"))
    elif chain is not None and task is not None and (given or not alone):
        faults += _roles(chain[0], task, [each.role for each in inputs], given=given)
    if given and not faults:
        faults += _patterns(inputs, recursive=rule.get("recursive", True))
    if faults:
        raise InnerError(*faults)


def _roles(step: Step, task: Task, roles: Sequence[str], *, given: bool) -> Iterator[StepFault]:
    wanted, possible = task.inputs, task.roles(dict(step.parameters))
    if not given:
        example = ", ".join(f'{role}: "{KEY}.{role}.*"' for role in wanted)
        yield StepFault((), f"it is missing, and {step.name} takes {_listed(wanted)}", f"add inputs: {{{example}}}")
        return
    for role in roles:
        if role in task.optional and role not in possible:
            name, value = task.optional[role]
            yield KeyFault((role,), f"{role} goes with {name}: {value}", f"remove it, or write {name}: {value}")
        elif role not in possible:
            yield KeyFault((role,), f"{step.name} has no input {role!r}", suggest(role, possible))
    meant = [nearest(role, possible) for role in roles if role not in possible]
    for role in wanted:
        if role not in roles and role not in meant:
            yield StepFault(
                (),
                f"{step.name} takes {_listed(wanted)}, and {role} is missing",
                f'add {role}: "{_example(role, wanted)}"',
            )


def _example(role: str, wanted: Sequence[str]) -> str:
    """A pattern for a role; the one that a job always has needs no name of its own."""
    return f"{KEY}.*" if len(wanted) == 1 else f"{KEY}.{role}.*"


def _patterns(inputs: Sequence[Input], *, recursive: bool) -> Iterator[StepFault]:
    first: dict[str, str] = {}
    varying = [(each.role, each.pattern) for each in inputs if each.pattern is not None]
    if inputs and not varying:
        role = inputs[0].role
        problem = f"none of them has {KEY}, so no dropped picture would start a job"
        yield StepFault((), problem, f'write one with it, as in {role}: "{KEY}.{role}.*"')
    for role, pattern in varying:
        if (other := first.setdefault(pattern.text.casefold(), role)) != role:
            yield StepFault((role,), f"{other} has the same pattern", "give each its own: a file has one role")
        if "/" in pattern.text and not recursive:
            problem = "it leads into subfolders, and the rule has recursive: false"
            yield StepFault((role,), problem, "write a pattern without a slash, or recursive: true")


def check_output(output: Template, rule: Mapping[str, Any]) -> None:
    """Raise InnerError if an output names what a job of this rule has not. A rule with faults in it is let be."""
    _check_key(output, rule)
    if not rule.get("inputs"):
        return
    if wrong := [name for name in _OF_FILES if name in output.fields]:
        raise InnerError(StepFault((), f"{{{wrong[0]}}} is of one file, and a group has several", f"use {KEY}"))
    if "key" not in output.fields:
        raise InnerError(StepFault((), "every group would be written to the same file", f"put {KEY} into it"))


def check_move(to: Template, rule: Mapping[str, Any]) -> None:
    """The same for where sources are moved to: there, each file of a group has its own name."""
    _check_key(to, rule, ("move", "to"))


def _check_key(template: Template, rule: Mapping[str, Any], where: tuple[str, ...] = ()) -> None:
    if "key" in template.fields and "steps" in rule and rule.get("inputs", True) == ():
        raise InnerError(StepFault(where, f"{KEY} is of rules with inputs, and this one has none", "use {stem}"))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
