"""How the values of config.yaml are read: text to paths, durations, templates and chains, as pydantic types."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, ValidationInfo, WithJsonSchema

from daemon.config.values import MEMORY, PICTURE_SIZE, duration
from daemon.groups.patterns import KEY, Pattern, check_fixed
from daemon.model import Input
from daemon.publishing.template import FIELDS, Template
from daemon.unfit import UnfitError, absolute
from kernels.chain import Chain, ChainError, parse_chain
from kernels.chain import Fault as StepFault
from kernels.parameters import show, suggest

DEFAULT_STATE_DIR = "var"
MAX_WORKERS = 256  # threads
LONGEST_SOCKET = (
    80  # bytes of the last part of its path: a socket's name has 107 (unix(7)), and a little goes before it
)
# Which form of a key was written: the tags of unions, which pydantic puts into the paths of its errors.
FORMS = ("<text>", "<other>")
SETTLE = duration(0, "1h")
PREVIEW = duration("100ms", "24h")
CHECKPOINT = duration("100ms", "24h")
IDLE = duration(0, "8760h")
HANG = duration("1s", "8760h")
RESCAN = duration("1s", "8760h")


class InnerError(ValueError):
    """Several faults inside one value; their paths start at that value."""

    def __init__(self, *faults: StepFault) -> None:
        super().__init__(", ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class KeyFault(StepFault):
    """A fault whose place is the key that ends its path, not the value."""


def _base(info: ValidationInfo) -> Path:
    """The folder that relative paths start in: that of the file being read."""
    base: Path = (info.context or {}).get("base", Path())
    return base


def _path(raw: object, info: ValidationInfo) -> object:
    return Path(absolute(raw, _base(info))) if isinstance(raw, str) else raw


def _socket(raw: object, info: ValidationInfo) -> object:
    path = _path(raw, info)
    if isinstance(path, Path) and len(os.fsencode(path.name)) > LONGEST_SOCKET:
        raise UnfitError(f"the name of a socket has {LONGEST_SOCKET} bytes at most", "write a shorter one")
    if isinstance(path, Path) and os.path.isdir(path):
        raise UnfitError(f"{show(raw)} is a folder", "name a socket in it, such as run/metrics.sock")
    return path


def _template(raw: object, info: ValidationInfo) -> Template | None:
    if raw is None and (info.field_name == "output"):
        return None
    if isinstance(raw, dict):
        raise UnfitError("without quotes, text that starts with { is a mapping to YAML", 'write "{dir}/{stem}.{ext}"')
    if not isinstance(raw, str):
        raise UnfitError(f"{show(raw)} is not text", 'write "outbox/{dir}/{stem}.{ext}"')
    return Template.parse(raw, _base(info))


def _steps(raw: object) -> Chain:
    try:
        return parse_chain(raw)
    except ChainError as error:
        raise InnerError(*error.faults) from None


def _inputs(raw: object, info: ValidationInfo) -> tuple[Input, ...]:
    if raw is None and info.field_name == "inputs":
        raw = {}
    if not isinstance(raw, dict):
        raise UnfitError(f"{show(raw)} is not a mapping", 'write one line for each role, as in near: "{key}.near.*"')
    found, faults = list[Input](), list[StepFault]()
    for role, value in raw.items():
        try:
            found.append(_input(role, value, _base(info)))
        except UnfitError as error:
            faults.append(StepFault((role,), error.problem, error.remedy))
    if faults:
        raise InnerError(*faults)
    return tuple(found)


def _input(role: str, raw: object, base: Path) -> Input:
    if isinstance(raw, dict):
        raise UnfitError("without quotes, text that starts with { is a mapping to YAML", f'write "{KEY}.{role}.*"')
    if not isinstance(raw, str):
        raise UnfitError(f"{show(raw)} is not text", f'write a pattern such as "{KEY}.{role}.*", or a file')
    if KEY in raw:
        return Input(role, Pattern.parse(raw))
    if not raw.strip():
        raise UnfitError("the pattern is empty", f'write one such as "{KEY}.{role}.*", or name a file')
    check_fixed(raw)
    fixed = Path(absolute(raw, base))
    if os.path.isdir(fixed):  # one that is not there yet may come; Path.is_dir raises on a name that is too long
        raise UnfitError(f"{show(raw)} is a folder and no file", f'name a file in it, or write "{KEY}.{role}.*"')
    return Input(role, fixed=fixed)


def _kept(raw: object) -> object:
    if raw == "move":
        raise UnfitError("move needs a place to move to", 'write source: {move: {to: "originals/{dir}/{name}"}}')
    if raw not in ("keep", "delete"):
        raise UnfitError(f"{show(raw)} is not known", f"{suggest(raw, ('keep', 'delete', 'move'))}: {{to: ...}}")
    return raw


def form_of(raw: object) -> str:
    """The tag of the form that a key was written in, of those that have two."""
    return FORMS[0] if isinstance(raw, str) else FORMS[1]


_PATH = {"type": "string", "minLength": 1, "$comment": "a path"}
_FIELDS = "|".join(FIELDS)
TEMPLATE = {
    "type": "string",
    "pattern": rf"^([^{{}}]|\{{\{{|\}}\}}|\{{({_FIELDS})\}})+$",
    "$comment": "a template",
    "patternErrorMessage": f"Only these can stand in braces: {', '.join(FIELDS)}; {{{{ and }}}} are braces.",
}
_NAME = "1 to 100 of letters, digits, `_`, `.` and `-`, with a letter or digit first; unique"

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Percent: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Pixels: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
SocketPath: TypeAlias = Annotated[Path, BeforeValidator(_socket), WithJsonSchema(_PATH)]
Folder: TypeAlias = Annotated[Path, BeforeValidator(_path), WithJsonSchema(_PATH)]
PathTemplate: TypeAlias = Annotated[Template, PlainValidator(_template), WithJsonSchema(TEMPLATE)]
Memory: TypeAlias = Annotated[int, BeforeValidator(MEMORY.parse_whole), WithJsonSchema(MEMORY.schema)]
PictureSize: TypeAlias = Annotated[int, BeforeValidator(PICTURE_SIZE.parse_whole), WithJsonSchema(PICTURE_SIZE.schema)]
Settle: TypeAlias = Annotated[float, BeforeValidator(SETTLE.parse), WithJsonSchema(SETTLE.schema)]
Rescan: TypeAlias = Annotated[float, BeforeValidator(RESCAN.parse), WithJsonSchema(RESCAN.schema)]
Preview: TypeAlias = Annotated[float, BeforeValidator(PREVIEW.parse), WithJsonSchema(PREVIEW.schema)]
Checkpoint: TypeAlias = Annotated[float, BeforeValidator(CHECKPOINT.parse), WithJsonSchema(CHECKPOINT.schema)]
Idle: TypeAlias = Annotated[float, BeforeValidator(IDLE.parse), WithJsonSchema(IDLE.schema)]
Hang: TypeAlias = Annotated[float, BeforeValidator(HANG.parse), WithJsonSchema(HANG.schema)]
Workers: TypeAlias = Annotated[
    Annotated[Literal["auto"], Tag(FORMS[0])] | Annotated[int, Field(ge=1, le=MAX_WORKERS), Tag(FORMS[1])],
    Discriminator(form_of),
]
Watch: TypeAlias = Annotated[
    Annotated[Folder, Tag(FORMS[0])] | Annotated[list[Folder], Field(min_length=1), Tag(FORMS[1])],
    Discriminator(form_of),
]
Name: TypeAlias = Annotated[
    str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100, json_schema_extra={"$comment": _NAME})
]
Steps: TypeAlias = Annotated[Chain, PlainValidator(_steps, json_schema_input_type=list[Any])]
Inputs: TypeAlias = Annotated[tuple[Input, ...], PlainValidator(_inputs, json_schema_input_type=dict[str, str])]
SourceWord: TypeAlias = Annotated[str, BeforeValidator(_kept), WithJsonSchema({"enum": ["keep", "delete"]})]
