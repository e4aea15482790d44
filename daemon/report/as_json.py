"""report.json: the figures for programs. docs/study.md describes every field; SCHEMA_VERSION counts its changes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from daemon.model import State
from daemon.report.examples import Example
from daemon.report.figures import Figures
from daemon.report.summary import BIN, Summary
from daemon.report.values import Unmeasured

SCHEMA_VERSION = 1


def json_pieces(figures: Figures) -> Iterator[bytes]:
    """The file, as ASCII; a byte of a name that is not UTF-8 becomes `\\udcNN` in the text, as in `report.csv`."""
    yield json.dumps(content(figures), indent=2).encode()
    yield b"\n"


def content(figures: Figures) -> dict[str, Any]:
    """The content of report.json."""
    study = figures.study
    return {
        "schema": SCHEMA_VERSION,
        "rule": study.rule,
        "steps": study.steps,
        "size": study.size,
        "updated": datetime.fromtimestamp(study.updated, UTC).isoformat(timespec="milliseconds"),
        "complete": study.complete,
        "pictures": len(study.pictures),
        "left_out": study.left_out,
        "counts": {state.value: study.counts.get(state, 0) for state in State},
        "devices": dict(study.devices),
        "series": [_series(each) for each in figures.summaries],
        "examples": [_example(figures, each) for each in figures.examples],
        "skipped": _unmeasured(study.skipped),
        "failed": _unmeasured(study.failed),
    }


def number(value: float) -> float | str | None:
    """A figure as JSON can hold it: "inf" for infinity, null for what does not exist, else 6 decimals."""
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else round(value, 6)


def _series(summary: Summary) -> dict[str, Any]:
    return {
        "input": summary.series.input,
        "scale": summary.series.scale,
        "pictures": summary.pictures,
        "identical": summary.identical,
        "mean": number(summary.mean),
        "sd": number(summary.sd),
        "median": number(summary.median),
        "p10": number(summary.p10),
        "p90": number(summary.p90),
        "min": number(summary.quantiles[0]),
        "max": number(summary.quantiles[-1]),
        "histogram": {"low": summary.histogram.low, "bin": BIN, "counts": list(summary.histogram.counts)},
    }


def _example(figures: Figures, example: Example) -> dict[str, Any]:
    return {
        "picture": _text(figures.study.pictures[example.row]),
        "role": example.role.value,
        "overall": number(example.overall),
        "psnr": [number(value) for value in figures.psnr[example.row].tolist()],
    }


def _unmeasured(pictures: Sequence[Unmeasured]) -> list[dict[str, str]]:
    return [{"picture": _text(each.picture), "reason": _text(each.reason)} for each in pictures]


def _text(text: str) -> str:
    """JSON may not hold half of a surrogate pair: many parsers refuse the whole file."""
    return text.encode(errors="backslashreplace").decode()
