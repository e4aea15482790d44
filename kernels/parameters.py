"""The kinds of parameters with one value: each knows its bounds, its unit and its default. Torch-free."""

from __future__ import annotations

import difflib
import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Pairs: TypeAlias = tuple[tuple[str, float], ...]
Value: TypeAlias = int | float | bool | str | tuple[int, ...] | tuple[str, ...] | Pairs
Values: TypeAlias = Mapping[str, Value]
JsonSchema: TypeAlias = dict[str, object]
"""What JSON Schema (draft 2020-12) can say about a value: all that `parse` takes, and as little else as possible."""


class Required(enum.Enum):
    """The type of REQUIRED, so that `default` says of itself what it may be."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


class ParameterError(ValueError):
    """A value that cannot be taken: what is wrong, and what would be right. `parameter` names it where that helps."""

    def __init__(self, problem: str, remedy: str, parameter: str | None = None) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in low..high, both included; `odd` admits odd ones only. Default None: may be left out."""

    default: int | Required | None
    low: int
    high: int
    unit: str = ""
    doc: str = ""
    odd: bool = False

    def parse(self, value: object) -> int:
        """`value` as an int; raises ParameterError. True and 3.0 are not whole numbers here."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ParameterError(f"{show(value)} is not a whole number", f"give {self.range}")
        if not self.low <= value <= self.high:
            raise ParameterError(f"{value} is out of range", f"give {self.range}")
        if self.odd and value % 2 == 0:
            raise ParameterError(f"{value} is even", f"give {self.range}")
        return value

    @property
    def range(self) -> str:
        """The values admitted, in words: `1–4096 px`."""
        return ("odd, " if self.odd else "") + with_unit(f"{self.low}–{self.high}", self.unit)

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        odd: JsonSchema = {"not": {"multipleOf": 2}} if self.odd else {}
        return {"type": "integer", "minimum": self.low, "maximum": self.high} | odd

    def describe(self) -> str:
        """The range and the default: `1–4096 px, default 16`."""
        return f"{self.range}, {default_of(self.default)}"


@dataclass(frozen=True, slots=True)
class IntegerOrAuto:
    """A whole number in low..high, both included, or the word `auto`. Default None: may be left out."""

    default: int | str | Required | None
    low: int
    high: int
    unit: str = ""
    doc: str = ""

    def parse(self, value: object) -> int | str:
        """`value` as an int, or "auto"; raises ParameterError."""
        if value == "auto":
            return "auto"
        try:
            return Integer(None, self.low, self.high, self.unit).parse(value)
        except ParameterError as error:
            raise ParameterError(error.problem, f"give {self.range}") from None

    @property
    def range(self) -> str:
        """The values admitted, in words: `auto, or 1–4096 steps`."""
        return "auto, or " + with_unit(f"{self.low}–{self.high}", self.unit)

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        return {"anyOf": [{"const": "auto"}, Integer(None, self.low, self.high).schema]}

    def describe(self) -> str:
        """The range and the default: `auto, or 1–4096 steps, default auto`."""
        return f"{self.range}, {default_of(self.default)}"


@dataclass(frozen=True, slots=True)
class Number:
    """A real number in low..high, both included. Default None: may be left out."""

    default: float | Required | None
    low: float
    high: float
    unit: str = ""
    doc: str = ""

    def parse(self, value: object) -> float:
        """`value` as a float, so that 3 and 3.0 are one value; raises ParameterError."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"{show(value)} is not a number", f"give {self.range}")
        # The comparison comes first: it refuses an integer too great for a float without converting it.
        if not self.low <= value <= self.high or not math.isfinite(value):
            raise ParameterError(f"{value} is out of range", f"give {self.range}")
        return float(value)

    @property
    def range(self) -> str:
        """The values admitted, in words: `0.1–100 px`."""
        return with_unit(f"{plain(self.low)}–{plain(self.high)}", self.unit)

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def describe(self) -> str:
        """The range and the default: `0.1–100 px, required`."""
        return f"{self.range}, {default_of(self.default)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One word out of a few."""

    default: str | Required | None
    choices: tuple[str, ...]
    doc: str = ""

    def parse(self, value: object) -> str:
        """`value` if it is one of the choices; raises ParameterError."""
        if isinstance(value, str) and value in self.choices:
            return value
        raise ParameterError(f"{show(value)} is not known", suggest(value, self.choices))

    @property
    def range(self) -> str:
        """The values admitted, in words: `reflect | zero`."""
        return " | ".join(self.choices)

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        return {"enum": list(self.choices)}

    def describe(self) -> str:
        """The choices and the default: `reflect | zero, default reflect`."""
        return f"{self.range}, {default_of(self.default)}"


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    default: bool | Required | None
    doc: str = ""

    def parse(self, value: object) -> bool:
        """`value` if it is a boolean; raises ParameterError. 0 and 1 are numbers, not flags."""
        if isinstance(value, bool):
            return value
        raise ParameterError(f"{show(value)} is neither true nor false", "give true or false")

    @property
    def range(self) -> str:
        """The values admitted, in words."""
        return "true | false"

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        return {"type": "boolean"}

    def describe(self) -> str:
        """The values and the default: `true | false, default false`."""
        return f"{self.range}, {default_of(self.default)}"


def suggest(value: object, names: Iterable[str]) -> str:
    """The remedy for a name that is not known: the nearest one, and all there are."""
    known = list(names)
    if not known:
        return "it takes none"
    meant = nearest(value, known)
    return (f"did you mean {meant}? " if meant else "") + "known: " + ", ".join(known)


def nearest(value: object, known: Iterable[str]) -> str | None:
    """The name that is spelled most like `value`, else one that it is a part of, as blur is of gaussian_blur."""
    if not isinstance(value, str):
        return None
    spelled = {name.casefold(): name for name in known}
    word = value.casefold()
    near = difflib.get_close_matches(word, spelled, n=1) or [name for name in spelled if len(word) > 2 and word in name]
    return spelled[near[0]] if near else None


def show(value: object) -> str:
    """A value as its author wrote it, shortened: what YAML calls true is shown as true."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def plain(value: Value) -> str:
    """A value as one writes it in YAML: 3.0 is 3, True is true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        if pairs := [each for each in value if isinstance(each, tuple)]:
            return "{" + ", ".join(f"{name}: {plain(weight)}" for name, weight in pairs) + "}"
        return f"[{', '.join(plain(each) for each in value if not isinstance(each, tuple))}]"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def with_unit(text: str, unit: str) -> str:
    """`text unit`, or the text alone."""
    return f"{text} {unit}" if unit else text


def default_of(default: Value | Required | None) -> str:
    """A default in words; None: the parameter may be left out."""
    if default is REQUIRED:
        return "required"
    return "optional" if default is None else f"default {plain(default)}"
