"""What a key admits and what it is by default, in words, from its JSON Schema: for editors, tables and manual pages."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


def range_of(schema: Schema) -> str:
    """The values admitted: `1 to 100`, "`auto`, `cpu`". Empty where there is nothing to say."""
    if "$comment" in schema:
        return str(schema["$comment"])
    parts = schema.get("anyOf") or schema.get("oneOf") or []
    if words := schema.get("enum") or [schema[key] for key in ("const",) if key in schema]:
        return ", ".join(map(_literal, words))
    if "minimum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        return _literal(low) if low == high else f"{low:,} to {high:,}"
    found = {"boolean": "`true`, `false`", "object": "a mapping"}.get(kinds(schema)[0]) if kinds(schema) else None
    return found or ", ".join(filter(None, map(range_of, parts)))


def default_of(schema: Schema, *, required: bool) -> str:
    """The default: `required`, `none`, or as one would write it; empty for a mapping, whose keys have their own."""
    if required:
        return "required"
    if "default" in schema:
        return _literal(schema["default"])
    return "" if "object" in kinds(schema) else "none"


def limits(admitted: str, default: str) -> str:
    """Both in one, to stand behind a description: ` (1 to 100; default 3)`; nothing where there is nothing to say."""
    default = default if default in ("", "required") else f"default {default}"
    told = "; ".join(filter(None, (admitted, default.replace("default none", ""))))
    return f" ({told})" if told else ""


def kinds(schema: Schema) -> list[str]:
    """The types of JSON that it admits."""
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _literal(value: object) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
