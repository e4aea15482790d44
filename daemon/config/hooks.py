"""`on_failure` and `on_idle` of a rule: keys, types and bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from daemon.config.parts import Shape
from daemon.config.types import InnerError
from daemon.config.values import duration
from daemon.hooks.values import FAILURE_FIELDS, IDLE_FIELDS, Hook, OnFailure, OnIdle, Word
from daemon.hooks.words import CommandUnfit, command_of
from daemon.unfit import UnfitError
from kernels.chain import Fault as StepFault
from kernels.parameters import show

TIMEOUT = duration("100ms", "1h")
PAUSE = duration(0, "24h")
EXAMPLE = 'write {command: ["notify-send", "{rule}"]}, or {webhook: "https://..."}'
ADDRESS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")

_HOOK, _FAILURE, _IDLE = Hook(), OnFailure(), OnIdle()


def _command(fields: dict[str, str]) -> Callable[[object], tuple[Word, ...]]:
    def read(raw: object) -> tuple[Word, ...]:
        try:
            return command_of(raw, fields)
        except CommandUnfit as error:
            raise InnerError(
                *(StepFault((index,), each.problem, each.remedy) for index, each in error.faults.items())
            ) from None

    return read


def _webhook(raw: object) -> str:
    """The address as it is. No fault shows it: a part of it may be secret."""
    if not isinstance(raw, str):
        raise UnfitError("it is not text", 'write "https://...", in quotes')
    if not ADDRESS.fullmatch(raw):
        raise UnfitError(
            "it is empty, or has a character that no address has",
            "write it as a browser shows it, other characters as %..; the JSON says what happened",
        )
    try:
        parts = urlsplit(raw)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half of an IPv6 address
        known = False
    if not known:
        raise UnfitError("it is not an address of http or https", 'write "https://host/path"')
    return raw


def _mapping(raw: object) -> object:
    if raw is not None and not isinstance(raw, dict | Shape):
        what = "a list" if isinstance(raw, list) else "text" if isinstance(raw, str) else show(raw)
        raise UnfitError(f"{what} is not a mapping", EXAMPLE)  # unseen: it may be an address
    return raw


Timeout: TypeAlias = Annotated[float, BeforeValidator(TIMEOUT.parse), WithJsonSchema(TIMEOUT.schema)]
Pause: TypeAlias = Annotated[float, BeforeValidator(PAUSE.parse), WithJsonSchema(PAUSE.schema)]
Webhook: TypeAlias = Annotated[
    str, PlainValidator(_webhook), WithJsonSchema({"type": "string", "pattern": "^https?://"})
]
_WORDS = WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1})
FailureCommand: TypeAlias = Annotated[tuple[Word, ...], PlainValidator(_command(FAILURE_FIELDS)), _WORDS]
IdleCommand: TypeAlias = Annotated[tuple[Word, ...], PlainValidator(_command(IDLE_FIELDS)), _WORDS]


class HookShape(Shape):
    """What both kinds have."""

    webhook: Webhook | None = Field(default=None, description="address that gets the event by POST, as JSON")
    timeout: Timeout = Field(
        default=TIMEOUT.text(_HOOK.timeout), validate_default=True, description="a hook that takes longer is ended"
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        given = {"command", "webhook"} & {name for name, value in self if value is not None}
        if not given:
            raise InnerError(StepFault((), "it has neither a command nor a webhook", EXAMPLE))
        if len(given) == 2:
            remedy = "remove one of them; a command can post too"
            raise InnerError(StepFault(("webhook",), "it has a command and a webhook", remedy))
        return self


class OnFailureShape(HookShape):
    """`on_failure:` of a rule."""

    command: FailureCommand | None = Field(default=None, description="program and its words, with fields")
    every: Pause = Field(
        default=PAUSE.text(_FAILURE.every),
        validate_default=True,
        description="failures within this time are told together",
    )

    def build(self) -> OnFailure:
        """The frozen value."""
        return OnFailure(self.command or (), self.webhook or "", self.timeout, self.every)


class OnIdleShape(HookShape):
    """`on_idle:` of a rule."""

    command: IdleCommand | None = Field(default=None, description="program and its words, with fields")
    after: Pause = Field(
        default=PAUSE.text(_IDLE.after), validate_default=True, description="how long the rule must have had no work"
    )

    def build(self) -> OnIdle:
        """The frozen value."""
        return OnIdle(self.command or (), self.webhook or "", self.timeout, self.after)


OnFailureKey: TypeAlias = Annotated[OnFailureShape | None, BeforeValidator(_mapping)]
OnIdleKey: TypeAlias = Annotated[OnIdleShape | None, BeforeValidator(_mapping)]
