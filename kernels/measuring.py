"""What the measurements of a chain give, read back from the numbers of its graph. Torch-free."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernels.chain import Chain, Measured, measured_steps
from kernels.spec import Series, operators


@dataclass(frozen=True, slots=True)
class Finding:
    """What the measurements of a chain say of one picture: the mean squared errors of `series_of`, on the scale 0..1.

    `unwanted` is the reason for which the picture does not count, if there is one.
    """

    mse: tuple[float, ...]
    unwanted: str | None = None


@functools.cache
def series_of(chain: Chain) -> tuple[Series, ...]:
    """What the numbers of a finding are about, in order; empty for a chain that measures nothing."""
    return tuple(series for measured in measured_steps(chain) for series in measured.series)


@functools.cache
def side_of(chain: Chain) -> int | None:
    """The side in pixels of the square that the chain's measurements resize pictures to; None if they do not."""
    return next((each.side for each in _measured(chain) if each.side), None)


def makes_pictures(chain: Chain) -> bool:
    """Whether any step changes the picture; a chain that only measures gives none."""
    return any(operators()[step.name].measures is None for step in chain)


def output_name(index: int) -> str:
    """The name of the graph's output for the measurement at this place of the chain, counted from 0."""
    return f"measured_{index}"


def finding(chain: Chain, rows: Mapping[str, Sequence[float]]) -> Finding:
    """The finding for one picture from its rows of the graph's outputs, by name."""
    numbers, unwanted = list[float](), list[str]()
    for measured in _measured(chain):
        row = rows[output_name(measured.index)]
        numbers += [float(value) for value in row[: len(measured.series)]]
        if measured.measures.guard is not None:
            reason = measured.measures.guard(dict(measured.step.parameters), float(row[len(measured.series)]))
            unwanted += [reason] if reason else []
    return Finding(tuple(numbers), unwanted[0] if unwanted else None)


@functools.cache
def _measured(chain: Chain) -> tuple[Measured, ...]:
    """Asked for every picture, and the same for all of them."""
    return tuple(measured_steps(chain))


def decibels(mse: float) -> float:
    """The peak signal-to-noise ratio of a mean squared error on the scale 0..1; +∞ for 0."""
    return 10 * math.log10(1 / mse) if mse > 0 else math.inf
