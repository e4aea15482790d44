"""The curves: mean PSNR against scale, with a band from the 10th to the 90th percentile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from daemon.report.axis import Axis, dodged, widened
from daemon.report.summary import Summary

_LABEL_GAP = 15.0  # pixels between the names at the ends of the lines
_TICK_GAP = 25.0  # pixels between two scales that are both labelled


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a chart and its margins, in pixels."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


WIDE = Frame(720, 410, left=44, right=74, top=36, bottom=52)
NARROW = Frame(340, 340, left=34, right=58, top=36, bottom=52)
"""The same chart for screens and paper, and for phones: scaling one would make its text unreadable on the other."""


@dataclass(frozen=True, slots=True)
class Point:
    """A mark at x, y; `whisker` is (top, bottom) where the point has no neighbour and so no band."""

    x: float
    y: float
    whisker: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One input: SVG paths, marks, (x, y) of its name, and the x of each scale where it is infinite."""

    input: str
    line: str
    band: str
    points: tuple[Point, ...]
    label: tuple[float, float]
    infinite: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything report.html needs to draw the curves; ticks are (coordinate, text)."""

    frame: Frame
    y: Axis
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, int], ...]
    curves: tuple[Curve, ...]


def chart(summaries: Sequence[Summary], inputs: Sequence[str], frame: Frame) -> Chart | None:
    """The chart of all series with a scale, drawn on a logarithmic axis of scales.

    None without a finite mean, and for a single scale, where a table says it better.
    """
    drawn = [each for each in summaries if each.series.scale is not None and each.finite]
    scales = sorted({each.series.scale for each in summaries if each.series.scale is not None})
    if not drawn or len(scales) < 2:
        return None
    x = _scale_axis(scales, frame)
    levels = [level for each in drawn for level in (each.p10, each.p90, each.mean)]
    y = Axis(*widened(levels, 5.0 if max(levels) - min(levels) > 10 else 1.0), frame.height - frame.bottom, frame.top)
    curves = [_curve(name, summaries, x, y) for name in inputs]
    labels = dodged([curve.label[1] for curve in curves], _LABEL_GAP, y.end, y.start)
    named = tuple(replace(curve, label=(curve.label[0], label)) for curve, label in zip(curves, labels, strict=True))
    ticks = tuple((y.at(value), f"{value:g}") for value in y.ticks(7))
    return Chart(frame, y, ticks, _sparse(x, scales), named)


def _scale_axis(scales: Sequence[int], frame: Frame) -> Axis:
    low, high = math.log2(scales[0]), math.log2(scales[-1])
    room = 0.03 * (high - low)  # keeps marks and "∞" off the ends of the axis
    return Axis(low - room, high + room, frame.left, frame.width - frame.right)


def _sparse(x: Axis, scales: Sequence[int]) -> tuple[tuple[float, int], ...]:
    """The scales that can be labelled without touching each other; powers of two go first."""
    placed: list[tuple[float, int]] = []
    for scale in sorted(scales, key=lambda scale: (scale & (scale - 1) != 0, scale)):
        at = x.at(math.log2(scale))
        if all(abs(at - other) >= _TICK_GAP for other, _ in placed):
            placed.append((at, scale))
    return tuple(sorted(placed))


def _curve(name: str, summaries: Sequence[Summary], x: Axis, y: Axis) -> Curve:
    mine = [each for each in summaries if each.series.input == name and each.series.scale is not None]
    mine.sort(key=lambda each: each.series.scale or 0)
    runs = _runs(mine)
    places = [[(x.at(math.log2(each.series.scale or 1)), each) for each in run] for run in runs]
    points = tuple(
        Point(at, y.at(each.mean), None if len(run) > 1 else (y.at(each.p90), y.at(each.p10)))
        for run in places
        for at, each in run
    )
    line = "".join("M" + " ".join(f"{at} {y.at(each.mean)}" for at, each in run) for run in places)
    band = "".join(_band(run, y) for run in places if len(run) > 1)
    infinite = tuple(x.at(math.log2(each.series.scale or 1)) for each in mine if math.isinf(each.mean))
    return Curve(name, line, band, points, _label(points, x, y), infinite)


def _label(points: Sequence[Point], x: Axis, y: Axis) -> tuple[float, float]:
    """Where the name of a curve would like to be: beyond the axis, or behind the last mark of one that ends early."""
    if not points:
        return x.end, y.end
    end = points[-1]
    return (x.end + 6 if x.end - end.x < _TICK_GAP else end.x + 10), end.y


def _runs(summaries: Sequence[Summary]) -> list[list[Summary]]:
    """Neighbours that have a finite mean, together."""
    runs: list[list[Summary]] = [[]]
    for each in summaries:
        if each.finite:
            runs[-1].append(each)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _band(run: Sequence[tuple[float, Summary]], y: Axis) -> str:
    above = [f"{at} {y.at(each.p90)}" for at, each in run]
    below = [f"{at} {y.at(each.p10)}" for at, each in reversed(run)]
    return "M" + " ".join(above + below) + "Z"
