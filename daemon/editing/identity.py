"""What a rule is, apart from its name, in a form that the ledger keeps: by that it is known again under another name.

What stands at its default is left out. So a key or a parameter that a later darkroom adds changes nothing about rules
that do not use it, and an upgrade together with an edit is told apart as an edit alone is.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from daemon.groups.patterns import Pattern
from daemon.ledger import KnownRule
from daemon.model import Rule
from daemon.publishing.template import Template
from kernels.chain import Step
from kernels.spec import operators

TAKES = ("watch", "recursive", "match", "inputs")
"""Fields of a rule that decide which files it takes, and as which jobs."""


def known_as(rule: Rule) -> KnownRule:
    """A rule as the ledger knows it."""
    told = _told(rule)
    told.pop("name")
    takes = {name: told[name] for name in TAKES if name in told}
    return KnownRule(_hash(told), _hash(takes), not rule.keeps_source, rule.folders | rule.source.folders)


def _hash(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _told(value: Any) -> Any:
    """A value as JSON. What can be read off the rest of it is left out. Raises TypeError for a kind not thought of."""
    if isinstance(value, Template):
        return [value.folder, value.text]
    if isinstance(value, Pattern):
        return value.text
    if isinstance(value, Step):
        known = operators()[value.name].parameters
        return {value.name: {name: _told(given) for name, given in value.parameters if given != known[name].default}}
    if is_dataclass(value):
        return {each.name: _told(given) for each in fields(value) if (given := getattr(value, each.name)) != _of(each)}
    if isinstance(value, tuple):
        return [_told(each) for each in value]
    if isinstance(value, enum.Enum | Path):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__}: say here how it is told")


def _of(field: Any) -> Any:
    """The default of a field; MISSING if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()
