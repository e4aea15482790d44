"""`trace: true`: how the losses of a task fell, as NAME.trace.json and as a small plot, NAME.trace.svg."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from daemon.report.axis import Axis

History = Sequence[tuple[int, Mapping[str, float]]]

JSON, SVG = ".trace.json", ".trace.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 64, 120, 24, 40
COLORS = ("#1b6ca8", "#c2571a", "#3f7d3a", "#7a4b9d", "#8a6d1b", "#555555")


def as_json(picture: str, steps: str, record: Mapping[str, Any], history: History) -> bytes:
    """The file beside the output: the record, and one row for each step kept, losses by name."""
    picture = picture.encode(errors="backslashreplace").decode()
    rows = [row(step, losses) for step, losses in history]
    told = {"picture": picture, "steps": steps, "record": dict(record), "losses": rows}
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()


def as_svg(title: str, history: History) -> bytes:
    """The losses against the steps, both axes from the first step kept to the last; losses on a logarithmic scale."""
    names = list(history[0][1]) if history else []
    values = [value for _, losses in history for value in losses.values() if math.isfinite(value) and value > 0]
    body = _drawn(history, names, values) if values else ""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="12">'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    told = f'<text x="{LEFT}" y="15" fill="#222">{escape(title)}</text>'
    return f"{head}\n{ground}\n{told}\n{body}</svg>\n".encode(errors="backslashreplace")


def _drawn(history: History, names: Sequence[str], values: Sequence[float]) -> str:
    first, last = history[0][0], max(history[-1][0], history[0][0] + 1)
    across = Axis(first, last, LEFT, WIDTH - RIGHT)
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.02, 0.05 * (high - low))
    up = Axis(low - margin, high + margin, HEIGHT - BOTTOM, TOP)
    lines = [_grid(across, up)]
    for number, name in enumerate(names):
        points = [(step, losses.get(name, math.nan)) for step, losses in history]
        places = [(across.at(s), up.at(math.log10(v))) for s, v in points if math.isfinite(v) and v > 0]
        if places:
            lines.append(_curve(places, name, COLORS[number % len(COLORS)]))
    return "".join(lines)


def _grid(across: Axis, up: Axis) -> str:
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
    lines = list[str]()
    for tick in up.ticks(6):
        y = up.at(tick)
        lines.append(f'<path d="M{LEFT} {y}H{right}" stroke="#ddd"/>\n')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end" fill="#555">{10**tick:.3g}</text>\n')
    for tick in across.ticks(7):
        if tick == int(tick):
            x = across.at(tick)
            lines.append(f'<text x="{x}" y="{base + 16}" text-anchor="middle" fill="#555">{tick:,.0f}</text>\n')
    lines.append(f'<text x="{right}" y="{base + 32}" text-anchor="end" fill="#555">step</text>\n')
    return "".join(lines)


def _curve(places: Sequence[tuple[float, float]], name: str, color: str) -> str:
    points = " ".join(f"{x:g},{y:g}" for x, y in places)
    x, y = places[-1]
    line = f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>\n'
    return f'{line}<text x="{x + 6:g}" y="{y + 4:g}" fill="{color}">{escape(name)}</text>\n'


def row(step: int, losses: Mapping[str, float]) -> dict[str, Any]:
    """A step with its losses by name, for JSON."""
    return {"step": step, **{name: finite(value) for name, value in losses.items()}}


def finite(value: Any) -> Any:
    """A value for JSON, which has neither infinity nor NaN: those are words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
