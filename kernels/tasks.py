"""What a task is: a step that runs for seconds or hours, gives one picture, and can be stopped and taken up again.

A task is a generator function `(inputs, state, *, parameters)`. `inputs` are the pictures by role, uint8 H×W×3 tensors
on the device to be used. `state` is empty at the first start; whatever the task needs in order to go on it keeps there,
so that at every `yield` the state is whole: saved then, and given to a new call with the same inputs and parameters, it
continues as if nothing had happened, bit for bit on the processor. That includes the state of every random generator.
It yields a Progress after each step and returns a Result. It knows no files, no clock and no other process. Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from kernels.parameters import Values

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = dict[str, Any]
"""Tensors, numbers, text, booleans and None, in dicts and lists as deep as one likes: no other kind of value."""


@dataclass(frozen=True, slots=True)
class Task:
    """What makes a step a task: `inputs`, the roles of the pictures it needs, such as `near` and `far`.

    `savings` says, in words, what it does at each level of thrift if memory runs out. A task that has any takes a
    parameter `thrift` more: 0, or how many of them to apply; a state of one level is never given to another. `beside`
    names the pictures that a result may have besides its own; a parameter of such a name is the flag that asks for it.
    A task that `plans` its memory takes a parameter `memory` more: bytes that it may take, as far as one can know. What
    follows from it belongs into the state: at the next start it is another number.

    `optional` are further roles that may be given or not, each with the parameter and its value that it goes with.
    Where one called `transparency` goes with the parameters and is not given, the alpha channel of the first input
    stands for it, if there is one; the result is then opaque. `result_size(parameters, height, width)` is that of
    the result for a first input of such a size; without it both are alike.
    """

    inputs: tuple[str, ...]
    savings: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    plans: bool = False
    optional: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    transparency: str | None = None
    result_size: Callable[[Values, int, int], tuple[int, int]] | None = None

    def roles(self, parameters: Values) -> tuple[str, ...]:
        """Every role that a picture may have with these parameters, the needed ones first."""
        going = (role for role, (name, value) in self.optional.items() if parameters.get(name) == value)
        return (*self.inputs, *going)

    def size(self, parameters: Values, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result for those of the first input, in pixels."""
        return self.result_size(parameters, height, width) if self.result_size else (height, width)


@dataclass(frozen=True, slots=True)
class Progress:
    """A step was made: number `step`, counted from 1, of at most `steps`.

    Where minutes may pass between two steps the last one is told again, or 0, as a sign that the task gets on.
    `losses` are the terms by name, the one that is minimised first; a tensor is read only when somebody looks.
    `preview` gives the picture as it stands, uint8 H×W×3, and is called only when somebody wants to see it, before the
    next step. `share` is how much of the whole work is done, 0..1, where steps are of unequal length.
    """

    step: int
    steps: int
    losses: Mapping[str, float | Tensor]
    preview: Callable[[], Tensor]
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The finished picture, uint8 H×W×3. `record` is what is worth knowing of it: numbers and words by name.

    `beside` are further pictures that were asked for: `{"distances": …}` becomes NAME.distances.jpg. `told` is what
    stands in the journal with the result.
    """

    picture: Tensor
    record: Mapping[str, float | int | str] = field(default_factory=dict)
    beside: Mapping[str, Tensor] = field(default_factory=dict)
    told: tuple[str, ...] = ()


Steps: TypeAlias = Generator[Progress, None, Result]


class TaskRefused(ValueError):
    """Raised by a task that can never do anything with these inputs: what is wrong, and what would be right."""


class TaskStarved(MemoryError):
    """Raised by a task that plans its memory where even its most modest way needs more than there is now.

    What is needed, what there is, and the remedy: less thrift helps nothing, more free memory does.
    """


class TaskBlocked(Exception):
    """Raised by a task that lacks something here, whatever its inputs are: what, and the command that gets it."""
