"""A chain of steps as plain values: parsed from YAML data, checked against the operators' own parameters.

Torch-free, so that the daemon and `darkroom check` can use it (law 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Step:
    """One operator with every parameter set; `parameters` is sorted by name, so equal steps are equal values."""

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()


Chain: TypeAlias = tuple[Step, ...]
