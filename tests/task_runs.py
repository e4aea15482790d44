"""What a run of a task in this process told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kernels.chain import parse_chain
from kernels.spec import operators
from kernels.tasks import Progress, Result, State, Steps

MEMORY = 4 << 30


@dataclass
class Run:
    """All of it: the losses of each step, with the state and the preview then if they were wanted, and the result."""

    told: list[Progress] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)
    previews: list[Tensor] = field(default_factory=list)
    snapshots: list[State] = field(default_factory=list)
    result: Result | None = None

    @property
    def picture(self) -> Tensor:
        assert self.result is not None
        return self.result.picture

    @property
    def record(self) -> Mapping[str, Any]:
        assert self.result is not None
        return self.result.record


def told_by(steps: Steps, found: Run) -> Iterator[Progress]:
    """All that a task tells; then its result is in `found`."""
    found.result = yield from steps


def started(
    name: str, inputs: Mapping[str, Tensor], state: State, memory: int = MEMORY, thrift: int = 0, **p: Any
) -> Steps:
    """A task that plans its memory, from a state on; `p` are its parameters as in YAML."""
    (step,) = parse_chain({name: p})
    steps: Steps = operators()[name].function(inputs, state, memory=memory, thrift=thrift, **dict(step.parameters))
    return steps
