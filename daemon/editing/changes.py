"""What an edit of config.yaml changed, in the words of the file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from daemon.model import Config, Rule
from daemon.rulebook import AT_START

_KEYS = {"chain": "steps", "publishes": "output"}
"""Fields of a rule that have another name in config.yaml."""


def changes(before: Config, after: Config, renamed: Mapping[str, str]) -> Iterator[str]:
    """A line for each rule, and each setting in force at once, that is not what it was. `renamed`: new names by old."""
    old, new = before.rules_by_name(), after.rules_by_name()
    stayed = old.keys() & new.keys() - renamed.keys() - set(renamed.values())
    for name, rule in new.items():
        if name in stayed and (keys := _changed(old[name], rule)):
            yield f"rule {name} changed: {', '.join(keys)}"
        elif name not in stayed and name not in renamed.values():
            yield f"rule {name} added"
    for name in old:
        if name in renamed:
            yield f"rule {name} is now called {renamed[name]}, and its jobs go with it"
        elif name not in stayed:
            yield f"rule {name} removed"
    for key in ("settle", "rescan"):
        if getattr(before, key) != getattr(after, key):
            yield f"{key}: {getattr(before, key):g} s → {getattr(after, key):g} s"
    for key in ("level", "format"):
        if (was := getattr(before.log, key)) != (now := getattr(after.log, key)):
            yield f"log.{key}: {was} → {now}"


def held_back(in_force: Config, read: Config) -> list[str]:
    """The keys that were changed and that a running daemon keeps: `runtime.memory`, `state_dir`, …"""
    found = list[str]()
    for key in AT_START:
        mine, other = getattr(in_force, key), getattr(read, key)
        if mine != other:
            parts = [each.name for each in fields(mine)] if hasattr(mine, "__dataclass_fields__") else []
            inner = [f"{key}.{part}" for part in parts if getattr(mine, part) != getattr(other, part)]
            found += inner or [key]
    return found


def _changed(before: Rule, after: Rule) -> list[str]:
    """The keys of config.yaml in which two rules differ, in the order of the model, each once."""
    names = [each.name for each in fields(Rule) if getattr(before, each.name) != getattr(after, each.name)]
    return list(dict.fromkeys(_KEYS.get(name, name) for name in names))
