"""A chain of steps as plain values: parsed from YAML data, checked against the operators' own parameters.

Torch-free, so that the daemon and `darkroom check` can use it (law 1).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kernels.parameters import REQUIRED, ParameterError, Value, nearest, plain, show, suggest
from kernels.spec import Measures, Operator, Series, Task, operators

__all__ = [
    "Chain",
    "ChainError",
    "Fault",
    "Measured",
    "Step",
    "Value",
    "canonical",
    "describe",
    "fixed_size",
    "measured_steps",
    "parse_chain",
    "task_of",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One operator with every parameter set; `parameters` is sorted by name, so equal steps are equal values."""

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()


Chain: TypeAlias = tuple[Step, ...]
FaultPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `path` leads to it from `steps`: (0, "mosaic", "block")."""

    path: FaultPath
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = ".".join(str(part) for part in ("steps", *self.path))
        return f"{place}: {self.problem}; {self.remedy}"


class ChainError(ValueError):
    """A chain that cannot be used. `faults` are all of them, in the order they are written."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def parse_chain(raw: object) -> Chain:
    """The value of `steps:` as a chain with every default filled in.

    `raw` is a list of steps, or one step; a step is `"name"`, `{"name": None}` or `{"name": {parameter: value}}`.
    Optional parameters that are not given stay absent. Raises ChainError with every fault there is.
    """
    faults: list[Fault] = []
    steps = raw if isinstance(raw, list) else [raw]
    if not steps or raw is None:
        raise ChainError((Fault((), "there are no steps", f"name at least one of {', '.join(operators())}"),))
    chain = tuple(step for index, item in enumerate(steps) if (step := _step(index, item, faults)) is not None)
    faults = faults or [*_alone(chain), *_order(chain)]
    if faults:
        raise ChainError(tuple(faults))
    return chain


@dataclass(frozen=True, slots=True)
class Measured:
    """A measuring step of a chain: its place counted from 0, what its numbers are about, and what to do with them."""

    index: int
    step: Step
    measures: Measures
    series: tuple[Series, ...]

    @property
    def side(self) -> int | None:
        """The side in pixels of the square that pictures are resized to beforehand; None if they are not."""
        return self.measures.side and self.measures.side(dict(self.step.parameters))


def measured_steps(chain: Chain) -> Iterator[Measured]:
    """The measurements of a chain, in order."""
    made = list[str]()
    for index, step in enumerate(chain):
        if (measures := operators()[step.name].measures) is None:
            made.append(step.name)
        else:
            series = measures.series(dict(step.parameters), " | ".join(made) or "true")
            yield Measured(index, step, measures, series)


def task_of(chain: Chain) -> Task | None:
    """What the chain's only step is, if it is a task; None for a chain of fixed operators."""
    return operators()[chain[0].name].task


def fixed_size(chain: Chain) -> tuple[int | None, int | None]:
    """Width and height of the result in pixels; None for one that follows from the picture's."""
    size: tuple[int | None, int | None] = None, None
    for step in chain:
        if (operator := operators()[step.name]).resizes:
            size = operator.fixed_size(dict(step.parameters)) if operator.fixed_size else (None, None)
    return size


def describe(chain: Chain) -> str:
    """The chain for people: `grayscale | gaussian_blur: {sigma: 3}`; what is at its default is not said."""
    return " | ".join(map(_describe_step, chain))


@functools.cache
def canonical(chain: Chain) -> str:
    """The chain as JSON with every parameter: equal chains give equal text, and `parse_chain` reads it back."""
    return json.dumps([{step.name: dict(step.parameters)} for step in chain], separators=(",", ":"))


def _alone(chain: Chain) -> Iterator[Fault]:
    """The tasks that have company: a graph cannot hold them."""
    for index, step in enumerate(chain):
        if len(chain) > 1 and operators()[step.name].task is not None:
            problem = f"{step.name} is a task, and a task is the only step of its rule"
            yield Fault((index, step.name), problem, "give it a rule of its own")


def _order(chain: Chain) -> Iterator[Fault]:
    """What is wrong with where the measurements of a chain stand."""
    earlier = list[Measured]()
    for measured in measured_steps(chain):
        place, name = (measured.index, measured.step.name), measured.step.name
        resizing = [step.name for step in chain[: measured.index] if operators()[step.name].resizes]
        if measured.measures.same_size and resizing:
            problem = f"{name} compares with the chain's input pixel by pixel, and {resizing[0]} changes the size"
            yield Fault(place, problem, f"put {name} before {resizing[0]}")
        if again := [other.index for other in earlier if set(other.series) & set(measured.series)]:
            problem = f"the numbers of {name} have the names of those of steps[{again[0]}]"
            yield Fault(place, problem, "remove one of them, or give it a rule of its own")
        elif unlike := [other.index for other in earlier if other.side and measured.side not in (None, other.side)]:
            problem = f"{name} measures at another size than steps[{unlike[0]}]"
            yield Fault(place, problem, "give both the same size: a report has one")
        earlier.append(measured)


def _describe_step(step: Step) -> str:
    known = operators()[step.name].parameters
    told = [f"{name}: {plain(value)}" for name, value in step.parameters if value != known[name].default]
    return f"{step.name}: {{{', '.join(told)}}}" if told else step.name


def _step(index: int, item: object, faults: list[Fault]) -> Step | None:
    before = len(faults)
    name, given = _split(index, item, faults)
    if len(faults) > before:
        return None
    if name not in operators():
        faults.append(Fault((index, name), f"no step is called {name!r}", suggest(name, operators())))
        return None
    values = dict(sorted(_values(index, operators()[name], given, faults)))
    return Step(name, tuple(values.items())) if len(faults) == before else None


def _split(index: int, item: object, faults: list[Fault]) -> tuple[str, Mapping[object, object]]:
    """A step as its name and what was given for it."""
    if isinstance(item, str):
        return item, {}
    if not isinstance(item, Mapping) or not item or not all(isinstance(key, str) for key in item):
        faults.append(Fault((index,), f"{show(item)} is not a step", "write `name` or `name: {parameters}`"))
        return "", {}
    name, given = next(iter(item.items()))
    if len(item) > 1:
        extra = ", ".join(list(item)[1:])
        faults.append(
            Fault((index,), f"{extra} stands beside {name}", f"write `{name}: {{...}}`, or indent it below {name}")
        )
    elif given is not None and not isinstance(given, Mapping):
        faults.append(Fault((index, name), f"{show(given)} is not a set of parameters", _example(name)))
    else:
        return name, given or {}
    return "", {}


def _example(name: str) -> str:
    known = operators()[name].parameters if name in operators() else {}
    return f"write `{name}: {{{next(iter(known))}: ...}}`" if known else f"write `{name}` alone"


def _values(
    index: int, operator: Operator, given: Mapping[object, object], faults: list[Fault]
) -> Iterator[tuple[str, Value]]:
    """The operator's parameters, given or by default; what is wrong with them goes to `faults`."""
    path, before, values = (index, operator.name), len(faults), dict[str, Value]()
    unknown = [key for key in given if key not in operator.parameters]
    meant = [nearest(key, operator.parameters) for key in unknown]
    for key in unknown:
        problem = f"{operator.name} has no parameter {show(key)}"
        faults.append(Fault((*path, str(key)), problem, suggest(key, operator.parameters)))
    for name, parameter in operator.parameters.items():
        value = given.get(name, parameter.default)
        if value is REQUIRED and name in meant:  # it is told already, as a mistyped one
            continue
        try:
            if value is REQUIRED:
                raise ParameterError(f"{operator.name} needs {name}", f"give {parameter.range}")
            if name in given or value is not None:
                values[name] = parameter.parse(value)
        except ParameterError as error:
            faults.append(Fault((*path, name), error.problem, error.remedy))
    if len(faults) == before:
        faults.extend(_together(path, operator, values))
    yield from values.items()


def _together(path: FaultPath, operator: Operator, values: Mapping[str, Value]) -> Iterator[Fault]:
    """The fault in how the parameters go together, if there is one."""
    try:
        if operator.check is not None:
            operator.check(values)
    except ParameterError as error:
        place = path if error.parameter is None else (*path, error.parameter)
        yield Fault(place, error.problem, error.remedy)
