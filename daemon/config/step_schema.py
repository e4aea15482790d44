"""What JSON Schema can say about `steps` and `inputs` of a rule, made from the operators' own parameters."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.config.ranges import Schema
from kernels.chain import ChainError, parse_chain
from kernels.parameters import REQUIRED, plain
from kernels.spec import Operator, Parameter, Task, operators

STEP: Schema = {"$ref": "#/$defs/step"}


def step() -> Schema:
    """One step: the name of an operator that can do without parameters, or `name: {parameters}`."""
    alone = [_named(each.name) | {"description": each.summary} for each in operators().values() if _stands_alone(each)]
    return {"anyOf": [*alone, _only({name: _parameters(each) for name, each in operators().items()})]}


def steps() -> Schema:
    """`steps:` of a rule."""
    return {"anyOf": [STEP, {"type": "array", "items": STEP, "minItems": 1}], "$comment": "a step, or a list of steps"}


def inputs() -> Schema:
    """`inputs:` of a rule, with the roles of all tasks; `roles_of_tasks` says which of them go together."""
    tasks = list(_tasks())
    names = {role: [name for name, task in tasks if role in _roles(task)] for _, task in tasks for role in _roles(task)}
    text = 'the pictures for this role of {}: a pattern such as "{{key}}.{}.*", or one file for all'
    return {
        "type": "object",
        "properties": {
            role: {"type": "string", "minLength": 1, "description": text.format(" and ".join(of), role)}
            for role, of in names.items()
        },
        "additionalProperties": False,
        "minProperties": 1,
        "$comment": "the roles of the task",
    }


def roles_of_tasks() -> list[Schema]:
    """For each task: a rule that has it has its inputs and no others; `inputs` may be left out for a single one."""
    return [{"if": _has(name), "then": _with_inputs(task)} for name, task in _tasks()]


def told(parameter: Parameter) -> str:
    """What a parameter means, with its range and its default."""
    return f"{parameter.doc} ({parameter.describe()})" if parameter.doc else parameter.describe()


def _with_inputs(task: Task) -> Schema:
    roles = dict.fromkeys(_roles(task), True)
    wanted = {"properties": roles, "required": list(task.inputs), "additionalProperties": False}
    return {"properties": {"inputs": wanted}} | ({"required": ["inputs"]} if len(task.inputs) > 1 else {})


def _has(name: str) -> Schema:
    """Whether a rule has a step."""
    one = {"anyOf": [_named(name), {"type": "object", "required": [name]}]}
    return {"properties": {"steps": {"anyOf": [one, {"type": "array", "contains": one}]}}, "required": ["steps"]}


def _tasks() -> Iterator[tuple[str, Task]]:
    return ((name, each.task) for name, each in operators().items() if each.task is not None)


def _roles(task: Task) -> tuple[str, ...]:
    return (*task.inputs, *task.optional)


def _named(name: str) -> Schema:
    return {"const": name}


def _only(properties: Schema) -> Schema:
    """A mapping with exactly one of these keys."""
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _stands_alone(operator: Operator) -> bool:
    """Whether it can do without parameters: asked of the chain's own parser, which `check` asks as well."""
    try:
        parse_chain(operator.name)
    except ChainError:
        return False
    return True


def _parameters(operator: Operator) -> Schema:
    alone = _stands_alone(operator)
    required = [name for name, each in operator.parameters.items() if each.default is REQUIRED]
    return {
        "description": operator.doc,
        "type": ["object", "null"] if alone else "object",
        "properties": {name: _parameter(each) for name, each in operator.parameters.items()},
        "additionalProperties": False,
        **({"required": required} if required else {} if alone else {"minProperties": 1}),
    }


def _parameter(parameter: Parameter) -> Schema:
    return {"description": told(parameter), **parameter.schema, **_default(parameter)}


def _default(parameter: Parameter) -> Schema:
    """The default as JSON; a parameter that may be left out has none."""
    default = parameter.default
    if default is None or default is REQUIRED:
        return {}
    if isinstance(default, tuple):
        pairs = {each[0]: each[1] for each in default if isinstance(each, tuple)}
        return {"default": pairs or list(default)}
    return {"default": int(default) if isinstance(default, float) and plain(default).isdigit() else default}
