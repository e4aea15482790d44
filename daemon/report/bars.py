"""The histograms: one small panel per scale, its inputs overlaid, all panels on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.report.axis import Axis, widened
from daemon.report.summary import BIN, Summary

Shares: TypeAlias = NDArray[np.float64]

WIDTH, HEIGHT = 240, 140
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 10, 22
_MOST_BINS = 60
_TAIL = 0.5  # per cent at either end that may lie beyond the axis, so that a few odd pictures do not squeeze the rest


@dataclass(frozen=True, slots=True)
class Outline:
    """One input's histogram as an SVG path; None where it has no finite value. `identical` of `pictures` have none."""

    input: str
    path: str | None
    identical: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Panel:
    """The histograms of one scale (None: of series without one)."""

    scale: int | None
    outlines: tuple[Outline, ...]


@dataclass(frozen=True, slots=True)
class Panels:
    """All panels; ticks are (coordinate, text). `bin` in dB; a line at `guide_y` marks the share `guide`."""

    panels: tuple[Panel, ...]
    base: float
    x_ticks: tuple[tuple[float, str], ...]
    bin: float
    guide: float
    guide_y: float


def panels(summaries: Sequence[Summary]) -> Panels | None:
    """One panel for every scale, and one for each series that has none; None without a finite value."""
    finite = [each for each in summaries if each.finite]
    if not finite:
        return None
    low, high = _range(finite)
    width = next(width for width in (BIN, 1.0, 2.0, 5.0, 10.0) if (high - low) / width <= _MOST_BINS)
    shares = {id(each): _shares(each, low, high, width) for each in finite}
    x = Axis(low, high, _LEFT, WIDTH - _RIGHT)
    y = Axis(0, max(float(share.max()) for share in shares.values()), HEIGHT - _BOTTOM, _TOP)
    guide = y.ticks(3)[-1]
    made = [
        Panel(scale, tuple(_outline(each, shares.get(id(each)), x, y, width) for each in members))
        for scale, members in _grouped(summaries)
    ]
    ticks = tuple((x.at(value), f"{value:g}") for value in x.ticks(6))
    return Panels(tuple(made), y.start, ticks, width, guide, y.at(guide))


def _range(finite: Sequence[Summary]) -> tuple[float, float]:
    """From the lowest to the highest value in whole dB, leaving out the tails of series with many pictures."""
    ends = [each.quantiles[index] for each in finite for index in ((1, 99) if each.pictures >= 200 else (0, 100))]
    return widened(ends, 2.0)


def _grouped(summaries: Sequence[Summary]) -> list[tuple[int | None, list[Summary]]]:
    scales = sorted({each.series.scale for each in summaries if each.series.scale is not None})
    groups: list[tuple[int | None, list[Summary]]] = [
        (scale, [each for each in summaries if each.series.scale == scale]) for scale in scales
    ]
    return groups + [(None, [each]) for each in summaries if each.series.scale is None]


def _shares(summary: Summary, low: float, high: float, width: float) -> Shares:
    """The share of all pictures in each bin from low to high; what lies beyond counts in the first or last."""
    counts = np.array(summary.histogram.counts, float)
    middles = summary.histogram.low + BIN * (np.arange(len(counts)) + 0.5)
    bins = round((high - low) / width + 0.499)
    places = np.clip(np.floor((middles - low) / width), 0, bins - 1).astype(int)
    return np.bincount(places, counts, minlength=bins) / summary.pictures


def _outline(summary: Summary, share: Shares | None, x: Axis, y: Axis, width: float) -> Outline:
    path = None if share is None else _steps(share, x, y, width)
    return Outline(summary.series.input, path, summary.identical, summary.pictures)


def _steps(share: Shares, x: Axis, y: Axis, width: float) -> str:
    """From the first bin with a picture in it to the last: no line along an empty axis."""
    (filled,) = np.nonzero(share)
    first, last = int(filled[0]), int(filled[-1])
    steps = (f"V{y.at(share[bin])}H{x.at(x.low + width * (bin + 1))}" for bin in range(first, last + 1))
    return f"M{x.at(x.low + width * first)} {y.start}{''.join(steps)}V{y.start}"
