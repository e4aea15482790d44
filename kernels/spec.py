"""What an operator is: a name, a function, and parameters that know their own bounds, units and defaults.

One definition serves `darkroom check`, the JSON Schema, the documentation and the run (law 5). Torch-free.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from kernels.parameter_lists import Choices as Choices
from kernels.parameter_lists import Integers as Integers
from kernels.parameter_lists import Parameter as Parameter
from kernels.parameter_lists import Weights as Weights
from kernels.parameters import REQUIRED as REQUIRED
from kernels.parameters import Choice as Choice
from kernels.parameters import Flag as Flag
from kernels.parameters import Integer as Integer
from kernels.parameters import IntegerOrAuto as IntegerOrAuto
from kernels.parameters import Number as Number
from kernels.parameters import ParameterError as ParameterError
from kernels.parameters import Value as Value
from kernels.parameters import Values as Values
from kernels.tasks import Progress as Progress
from kernels.tasks import Result as Result
from kernels.tasks import State as State
from kernels.tasks import Steps as Steps
from kernels.tasks import Task as Task

if TYPE_CHECKING:
    from torch import Tensor

    from kernels.picture import Picture

Check: TypeAlias = Callable[[Values], None]
FixedSize: TypeAlias = Callable[[Values], tuple[int | None, int | None]]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Series:
    """What one number of a measurement is about: which input was compared, and pooled by what; None: not pooled."""

    input: str
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Measures:
    """What makes a step a measurement: its function gives one row of numbers a picture, and leaves the picture alone.

    `series(parameters, before)` names the columns, each a mean squared error on the scale 0..1; `before` are the names
    of the steps that made the picture, or "true". With `guard` there is one column more, and `guard(parameters, value)`
    gives the reason for which a picture with that value is not wanted, or None. `same_size`: the picture is compared
    with the chain's input pixel by pixel, so no step before may change its size. `side(parameters)` is the side of the
    square to which pictures are resized before they are measured, if they are.
    """

    series: Callable[[Values, str], tuple[Series, ...]]
    guard: Callable[[Values, float], str | None] | None = None
    same_size: bool = False
    side: Callable[[Values], int] | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """One step a user may name. `check` looks at parameters together and raises ParameterError; it knows no torch.

    `function` is `(picture, *, parameters) -> picture`, or for a measurement `(picture, source, *, parameters)` with
    the chain's input as `source`, giving a float tensor of N rows, or for a task what kernels/tasks.py says. `resizes`:
    the result may have another size. `fixed_size(parameters)` is then the width and height of the result, as far as
    these alone say; None for one that follows from the picture's.
    """

    name: str
    parameters: Mapping[str, Parameter]
    function: Callable[..., Any]
    doc: str
    check: Check | None = None
    resizes: bool = False
    fixed_size: FixedSize | None = None
    measures: Measures | None = None
    task: Task | None = None

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.partition("\n")[0]


_registry: dict[str, Operator] = {}
_MADE = re.compile(r'^@(?:operator|measurement|task)\(\s*"(\w+)"', re.MULTILINE)


def operator(
    name: str,
    /,
    *,
    check: Check | None = None,
    resizes: bool = False,
    fixed_size: FixedSize | None = None,
    **parameters: Parameter,
) -> Callable[[Callable[..., Picture]], Callable[..., Picture]]:
    """Make a function `(picture, *, parameters) -> picture` an operator called `name`.

    Raises ValueError if the name is taken, and ParameterError if a default is outside its own bounds.
    """
    return _registered(name, parameters, check, resizes=resizes, fixed_size=fixed_size)


def measurement(
    name: str, measures: Measures, /, *, check: Check | None = None, **parameters: Parameter
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Make a function `(picture, source, *, parameters) -> tensor` a measurement called `name`; see Measures.

    Raises as `operator` does.
    """
    return _registered(name, parameters, check, measures=measures)


def task(
    name: str, kind: Task, /, *, check: Check | None = None, **parameters: Parameter
) -> Callable[[Callable[..., Steps]], Callable[..., Steps]]:
    """Make a generator function `(inputs, state, *, parameters)` a task called `name`; see kernels/tasks.py.

    Raises as `operator` does.
    """
    return _registered(name, parameters, check, task=kind)


def _registered(
    name: str, parameters: Mapping[str, Parameter], check: Check | None, **kind: Any
) -> Callable[[Function], Function]:
    for parameter in parameters.values():
        if parameter.default is not None and parameter.default is not REQUIRED:
            parameter.parse(parameter.default)

    def register(function: Function) -> Function:
        if name in _registry:
            raise ValueError(f"two operators are called {name!r}; rename one of them")
        doc = inspect.getdoc(function) or ""
        _registry[name] = Operator(name, MappingProxyType(parameters), function, doc, check, **kind)
        return function

    return register


class _Steps(Mapping[str, Operator]):
    """All steps, whose files are loaded when they are needed: to check a rule with a mosaic takes no style transfer."""

    def __getitem__(self, name: str) -> Operator:
        if name not in _registry:
            _import_siblings(name)
        if name not in _registry:
            _import_siblings()
        return _registry[name]

    def __iter__(self) -> Iterator[str]:
        _import_siblings()
        return iter(sorted(_registry))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def operators() -> Mapping[str, Operator]:
    """Every step by name. A file in this folder that uses `@operator`, `@measurement` or `@task` is found by itself."""
    return _Steps()


@functools.cache
def _import_siblings(name: str = "") -> None:
    """Import the files of this folder, or only those that can be seen to make a step of this name."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not name or name in _seen_in(module.name):
            importlib.import_module(f"{package.__name__}.{module.name}")


@functools.cache
def _seen_in(module: str) -> frozenset[str]:
    """The steps of a file of this folder; none of a folder, or where only what was compiled of it is installed."""
    try:
        text = (pkgutil.get_data(__package__, f"{module}.py") or b"").decode(errors="replace")
    except OSError:
        text = ""
    return frozenset(_MADE.findall(text))
