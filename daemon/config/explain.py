"""What pydantic and the step parser say about config.yaml, in plain words and with the place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from daemon.config.faults import Fault, Where, dotted
from daemon.config.hooks import OnFailureShape, OnIdleShape
from daemon.config.parts import (
    EncodeShape,
    LogShape,
    MetricsShape,
    MoveShape,
    RuntimeShape,
    SourceShape,
    TasksShape,
    WhenShape,
)
from daemon.config.shapes import ConfigShape, RuleShape
from daemon.config.types import FORMS, MAX_WORKERS, InnerError, KeyFault
from daemon.config.yaml_source import Document
from daemon.unfit import UnfitError
from kernels.parameters import nearest, show, suggest
from kernels.spec import operators

Words: TypeAlias = tuple[str, str]  # the problem and the remedy

_SHAPES: Mapping[str | int, type[BaseModel]] = {
    "runtime": RuntimeShape,
    "tasks": TasksShape,
    "log": LogShape,
    "metrics": MetricsShape,
    "when": WhenShape,
    "encode": EncodeShape,
    "source": SourceShape,
    "move": MoveShape,
    "on_failure": OnFailureShape,
    "on_idle": OnIdleShape,
}
_KINDS = {
    "string_type": ("text", "write text, in quotes if it looks like something else"),
    "int_type": ("a whole number", "write digits without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "list_type": ("a list", 'write ["one", "another"], or one line for each that starts with -'),
    "model_type": ("a mapping", "write {key: value}, or one line for each key: value"),
    "path_type": ("a path", "write text"),
    "is_instance_of": ("a path", "write text"),
}
_MISSING = "it is missing"
_TWO_FORMS = {
    "watch": "write a folder, or a list of folders",
    "workers": f"write auto, or a whole number from 1 to {MAX_WORKERS}, without quotes",
    "source": 'write keep, delete, or {move: {to: "originals/{dir}/{name}"}}',
}


def faults_of(error: ErrorDetails, document: Document) -> Iterator[Fault]:
    """The faults behind one error of pydantic: one, or several for the steps of a rule."""
    where = tuple(step for step in error["loc"] if step not in FORMS)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, InnerError):
        for fault in cause.faults:
            path = (*where, *fault.path)
            at_key = isinstance(fault, KeyFault) or (where[-1] == "steps" and _unknown_in_steps(fault.path))
            yield fault_at(document, path, (fault.problem, fault.remedy), at_key)
    elif isinstance(cause, UnfitError):
        yield fault_at(document, where, (cause.problem, cause.remedy))
    else:
        yield fault_at(document, where, _words(error, where), error["type"] == "extra_forbidden")


def apart_from_echoes(faults: Iterable[Fault], errors: Iterable[ErrorDetails]) -> Iterator[Fault]:
    """The faults, but of a mistyped key one only: not also that the key which was meant is missing."""
    typed = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    paths = [tuple(step for step in where if step not in FORMS) for where in typed]
    meant = {dotted((*path[:-1], key)) for path in paths for key in _meant(path)}
    return (fault for fault in faults if not (fault.problem.startswith(_MISSING) and fault.where in meant))


def _meant(where: Where) -> Iterator[str]:
    """The keys that one which is not known may stand for. A rule without a report is told to lack an output."""
    if key := nearest(where[-1], _shape(where[:-1]).model_fields):
        yield from ("report", "output") if key == "report" else (key,)


def fault_at(document: Document, where: Where, words: Words, at_key: bool = False) -> Fault:
    """A fault of the value at a path (or of its key); where there is no such value, at the nearest one around it."""
    place = document.key_place(where) if at_key else document.place(where)
    return Fault(place, dotted(where), *words)


def _unknown_in_steps(path: Where) -> bool:
    """Whether a path below `steps` ends in a step or a parameter that does not exist."""
    if len(path) < 2 or path[1] not in operators():
        return len(path) == 2
    return len(path) == 3 and path[2] not in operators()[str(path[1])].parameters


def _words(error: ErrorDetails, where: Where) -> Words:
    """An error of pydantic's own: what is wrong, and what would be right."""
    kind, given = error["type"], error["input"]
    if kind == "missing":
        example = _shape(where[:-1]).model_fields[str(where[-1])].examples or ["..."]
        return _MISSING, f"add {where[-1]}: {example[0]}"
    if kind == "extra_forbidden":
        return _unknown_key(where)
    if where == ("version",):
        return f"{show(given)} is not a version of config.yaml that this darkroom reads", "write version: 1"
    if error["loc"][-1] in FORMS and kind in (*_KINDS, "literal_error"):
        return f"{show(given)} cannot stand here", _TWO_FORMS[str(where[-1])]
    if kind in _KINDS:
        return _of_another_kind(kind, given, where)
    return _bounds(error, where)


def _of_another_kind(kind: str, given: object, where: Where) -> Words:
    noun, remedy = _KINDS[kind]
    if given is None:
        return f"it is empty, not {noun}", remedy
    if where == ("rules",) and isinstance(given, dict):
        return f"a mapping is not {noun}", f"begin each rule with -, as in - name: {next(iter(given), 'mosaic')}"
    if kind == "list_type" and isinstance(given, str):
        return f"{show(given)} is not {noun}", f'write ["{given}"]'
    return f"{show(given)} is not {noun}", remedy


def _bounds(error: ErrorDetails, where: Where) -> Words:
    kind, given, limits = error["type"], error["input"], error.get("ctx", {})
    if kind == "literal_error":
        return f"{show(given)} is not known", suggest(given, re.findall("'([^']*)'", limits["expected"]))
    if kind in ("greater_than_equal", "less_than_equal"):
        side = "at least" if "ge" in limits else "at most"
        return f"{show(given)} is out of range", f"give {side} {limits.get('ge', limits.get('le'))}"
    if kind in ("too_short", "string_too_short"):
        return "it is empty", "write at least one" if kind == "too_short" else "write some text"
    if kind == "string_too_long":
        return f"{show(given)} is too long", f"use at most {limits['max_length']} characters"
    if kind == "string_pattern_mismatch":
        return f"{show(given)} is not a name", "use letters, digits, _ . and -, with a letter or digit first"
    return error["msg"].replace("\n", " "), "see the comments in the shipped config.yaml"


def _unknown_key(where: Where) -> Words:
    key = where[-1]
    return f"{show(key)} is not a key here", suggest(key, _shape(where[:-1]).model_fields)


def _shape(where: Where) -> type[BaseModel]:
    """The model of the mapping at a path."""
    if not where:
        return ConfigShape
    return RuleShape if isinstance(where[-1], int) else _SHAPES[where[-1]]
