"""Axes of the charts: from values to pixels, and where the ticks are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """A straight line from values low..high to coordinates start..end in pixels; end may be the smaller one."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The coordinate of a value, to a tenth of a pixel; values beyond the axis end at its ends."""
        inside = min(max(value, self.low), self.high)
        return round(self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values on the axis, evenly spaced."""
        step = round_step((self.high - self.low) / max(1, most - 1))
        first = math.ceil(self.low / step)
        return [step * number for number in range(first, math.floor(self.high / step) + 1)]


def round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50, … (or their tenths and hundredths) that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def widened(values: Sequence[float], step: float) -> tuple[float, float]:
    """The multiples of `step` around all values; never an empty range."""
    low = math.floor(min(values) / step) * step
    high = math.ceil(max(values) / step) * step
    return (low, high) if high > low else (low - step, high + step)


def dodged(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The positions moved apart until neighbours are `gap` pixels from each other, within low..high; order is kept."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = list(positions)
    floor = low
    for index in order:
        placed[index] = floor = max(placed[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        placed[index] = ceiling = min(placed[index], ceiling)
        ceiling -= gap
    return [round(position, 1) for position in placed]
