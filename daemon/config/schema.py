"""The JSON Schema (draft 2020-12) of config.yaml, read off the shapes that `check` uses and the operators' parameters.

It takes whatever `check` takes. What JSON Schema cannot say (bounds of text with a unit, keys that depend on values of
others, files that must exist) only `check` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from daemon.config import step_schema
from daemon.config.ranges import Schema, default_of, kinds, limits, range_of
from daemon.config.shapes import ConfigShape
from daemon.config.types import TEMPLATE
from daemon.publishing.template import FIELDS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FIELDS = "\n".join(f"{{{name}}}: {meaning}" for name, meaning in FIELDS.items())


def editor_schema() -> Schema:
    """The schema for editors: each description ends with the values that the key admits, and its default."""
    return {"$schema": _DIALECT, "title": "darkroom", **_for_editors(keys()), "$defs": {"step": step_schema.step()}}


def keys() -> Schema:
    """The schema of the whole file in one piece, but for `#/$defs/step`; `$comment` has ranges that it cannot say."""
    made = ConfigShape.model_json_schema(schema_generator=_Untitled)
    top = _inlined(made, made["$defs"])
    rule = top["properties"]["rules"]["items"]
    for name, schema in (("steps", step_schema.steps()), ("inputs", step_schema.inputs())):
        rule["properties"][name] = {"description": rule["properties"][name]["description"], **schema}
    rule["anyOf"] = [{"required": ["output"]}, {"required": ["report"]}]
    rule["allOf"] = step_schema.roles_of_tasks()
    return top


class _Untitled(GenerateJsonSchema):
    """Keys have no titles: editors would show `State Dir` for `state_dir`."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _inlined(schema: Schema, shapes: Mapping[str, Schema]) -> Schema:
    """The schema without references and titles: beside a reference, editors overlook the description of the key."""
    if "$ref" in schema:
        shape = shapes[schema["$ref"].rpartition("/")[2]]
        schema = {**shape, **{key: value for key, value in schema.items() if key not in ("$ref", "default")}}
    schema = {key: value for key, value in schema.items() if key not in ("title", "$defs")}
    return _nullable(_within(schema, lambda each: _inlined(each, shapes)))


def _nullable(schema: Schema) -> Schema:
    """One type where pydantic has a choice of a type and null. An empty default is none."""
    schema = {key: value for key, value in schema.items() if key != "default" or value not in (None, [])}
    choice = schema.get("anyOf", [])
    if len(choice) == 2 and choice[1] == {"type": "null"} and isinstance(choice[0].get("type"), str):
        others = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**choice[0], "type": [choice[0]["type"], "null"], **others}
    return schema


def _for_editors(schema: Schema) -> Schema:
    """The schema with more in its descriptions, and without what only stands for that."""
    required = schema.get("required", [])
    if "properties" in schema:
        told = {name: _told(each, required=name in required) for name, each in schema["properties"].items()}
        schema = {**schema, "properties": told}
    made = _within(schema, _for_editors)
    if {"array", "object"} & set(kinds(schema)):
        made.pop("examples", None)  # they are YAML, for messages
    made.pop("$comment", None)
    return made


def _told(key: Schema, *, required: bool) -> Schema:
    fields = f"\n\n{_FIELDS}" if key.get("pattern") == TEMPLATE["pattern"] else ""
    described = key["description"] + limits(range_of(key), default_of(key, required=required)) + fields
    return {"description": described} | {name: value for name, value in key.items() if name != "description"}


def _within(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with `change` applied to each schema right in it."""
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {name: change(each) for name, each in made["properties"].items()}
    if isinstance(made.get("items"), dict):
        made["items"] = change(made["items"])
    for several in ("anyOf", "oneOf"):
        if several in made:
            made[several] = [change(each) for each in made[several]]
    return made
