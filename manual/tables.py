"""Tables of keys, in Markdown, and the keys themselves: from the schema that editors get."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from daemon.config.ranges import Schema, default_of, range_of
from daemon.config.schema import keys
from daemon.publishing.template import FIELDS

_PAGE = re.compile(r"\bdocs/([\w-]+\.md)")


class Key(NamedTuple):
    """A key of config.yaml: what it does, which values it admits, what it is by default."""

    name: str
    text: str
    range: str
    default: str


@functools.cache
def _whole() -> Schema:
    return keys()


def mapping(name: str) -> Schema:
    """The schema of a mapping: `top` is the whole file, `rule` one of its rules. Raises KeyError."""
    top = _whole()
    rule = top["properties"]["rules"]["items"]
    known: Schema = {"top": top, "rule": rule} | rule["properties"] | top["properties"]
    found: Schema = known[name]
    return found


def keys_of(name: str) -> Iterator[Key]:
    """The keys of a mapping, in the order in which they are defined."""
    found = mapping(name)
    for key, schema in found["properties"].items():
        default = default_of(schema, required=key in found.get("required", ()))
        yield Key(key, schema["description"], range_of(schema), default)


def table(name: str, *wanted: str) -> str:
    """The table of a mapping's keys, or of those that are wanted; `fields` is that of the fields of templates."""
    if name == "fields":
        return _table(("field", "stands for"), [(f"`{{{field}}}`", text) for field, text in FIELDS.items()])
    known = {key.name: key for key in keys_of(name)}
    rows = [known[key] for key in wanted or known]
    shown = [(f"`{key.name}`", _linked(key.text), key.range, key.default) for key in rows]
    return _table(("key", "what it does", "bounds", "default"), shown)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _linked(text: str) -> str:
    """Mentions of pages become links: all pages lie in one folder."""
    return _PAGE.sub(r"[\1](\1)", text)
