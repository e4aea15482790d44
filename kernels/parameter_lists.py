"""The kinds of parameters with several values: lists, and weights by name. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kernels.parameters import (
    Choice,
    Flag,
    Integer,
    IntegerOrAuto,
    JsonSchema,
    Number,
    Pairs,
    ParameterError,
    default_of,
    show,
    with_unit,
)


@dataclass(frozen=True, slots=True)
class Integers:
    """Whole numbers in low..high, each at most once; kept in ascending order."""

    default: tuple[int, ...]
    low: int
    high: int
    unit: str = ""
    doc: str = ""

    def parse(self, value: object) -> tuple[int, ...]:
        """`value`, a list or tuple, as ascending ints; raises ParameterError."""
        one = Integer(None, self.low, self.high, self.unit)
        return tuple(sorted(one.parse(item) for item in _distinct(_listed(value, self.range))))

    @property
    def range(self) -> str:
        """The values admitted, in words: `a list of 1–4096 px`."""
        return "a list of " + with_unit(f"{self.low}–{self.high}", self.unit)

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        return _list_of(Integer(None, self.low, self.high).schema)

    def describe(self) -> str:
        """The range and the default: `a list of 1–4096 px, default [1, 2, 4]`."""
        return f"{self.range}, {default_of(self.default)}"


@dataclass(frozen=True, slots=True)
class Choices:
    """Some words out of a few, each at most once; kept in the order of `choices`."""

    default: tuple[str, ...]
    choices: tuple[str, ...]
    doc: str = ""

    def parse(self, value: object) -> tuple[str, ...]:
        """`value`, a list or tuple, as words; raises ParameterError. YAML's true is the word it was written as."""
        one = Choice(None, self.choices)
        items = _listed(value, self.range)
        named = [show(item) if isinstance(item, bool) else item for item in items]
        chosen = {one.parse(item) for item in _distinct(named)}
        return tuple(choice for choice in self.choices if choice in chosen)

    @property
    def range(self) -> str:
        """The values admitted, in words: `a list of true | gray`."""
        return "a list of " + " | ".join(self.choices)

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors. A word that YAML takes for a boolean is one as well."""
        booleans = [flag for flag in (True, False) if show(flag) in self.choices]
        return _list_of({"enum": [*self.choices, *booleans]})

    def describe(self) -> str:
        """The choices and the default: `a list of true | gray, default [true, gray]`."""
        return f"{self.range}, {default_of(self.default)}"


@dataclass(frozen=True, slots=True)
class Weights:
    """Numbers in low..high, both included, for some of the names in `choices`. Default None: may be left out."""

    default: Pairs | None
    choices: tuple[str, ...]
    low: float
    high: float
    doc: str = ""

    def parse(self, value: object) -> Pairs:
        """`value`, a mapping of names to numbers or pairs of both, as pairs in the order of `choices`.

        Raises ParameterError.
        """
        items = list(value.items()) if isinstance(value, Mapping) else _pairs(value, self.range)
        if not items:
            raise ParameterError("nothing stands there", f"give {self.range}")
        name, weight = Choice(None, self.choices), Number(None, self.low, self.high)
        _distinct([key for key, _ in items])
        found = {name.parse(key): weight.parse(number) for key, number in items}
        return tuple((choice, found[choice]) for choice in self.choices if choice in found)

    @property
    def range(self) -> str:
        """The values admitted, in words: `{name: 0–10, …}, names: a | b`."""
        return f"{{name: {with_unit(f'{self.low:g}–{self.high:g}', '')}, …}}, names: {' | '.join(self.choices)}"

    @property
    def schema(self) -> JsonSchema:
        """The values admitted, for editors."""
        one = Number(None, self.low, self.high).schema
        names = dict.fromkeys(self.choices, one)
        return {"type": "object", "properties": names, "additionalProperties": False, "minProperties": 1}

    def describe(self) -> str:
        """The values and the default."""
        return f"{self.range}, {default_of(self.default)}"


Parameter: TypeAlias = Integer | IntegerOrAuto | Number | Choice | Flag | Integers | Choices | Weights


def _list_of(item: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}


def _pairs(value: object, wanted: str) -> list[tuple[object, object]]:
    """Pairs as a chain that was written down has them; raises ParameterError."""
    if isinstance(value, list | tuple) and all(isinstance(item, list | tuple) and len(item) == 2 for item in value):
        return [(item[0], item[1]) for item in value]
    raise ParameterError(f"{show(value)} is not a mapping of names to numbers", f"give {wanted}")


def _listed(value: object, wanted: str) -> list[object]:
    """The items of a list that is not empty; raises ParameterError."""
    if not isinstance(value, list | tuple):
        raise ParameterError(f"{show(value)} is not a list", f"give {wanted}")
    if not value:
        raise ParameterError("the list is empty", f"give {wanted}")
    return list(value)


def _distinct(items: list[object]) -> list[object]:
    """The items; raises ParameterError if one is named twice."""
    if twice := [item for index, item in enumerate(items) if item in items[:index]]:
        raise ParameterError(f"{show(twice[0])} stands there twice", "name it once")
    return items
