"""report.html: one file with everything in it, for screens of every size and for paper."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.model import State
from daemon.report import bars, curves, words
from daemon.report.examples import Role
from daemon.report.figures import Figures
from daemon.report.grid import Cell
from daemon.report.summary import Summary
from daemon.shown import shown
from kernels.spec import Series

if TYPE_CHECKING:
    from jinja2 import Template

ASSUMED_P = 20.0
"""The output PSNR in dB the page speaks of before its reader types another."""
EXAMPLES_OF_P = (15.0, 20.0, 25.0)
NAMED = 10
"""Skipped and failed pictures the page names of each; the command line tells of all."""
MARKS = {"true": "circle", "gray": "square", "mosaic": "triangle"}
_MANY_SCALES = 8  # more columns than this would be too narrow for pictures: scales go downwards instead


def html_pieces(figures: Figures, cells: Sequence[Mapping[Series, Cell]]) -> Iterator[bytes]:
    """The file in pieces of UTF-8; `cells` are the pictures of each example, in order."""
    page, style, script = _page()
    for piece in page.generate(_view(figures, cells), style=style, script=script, policy=_policy(script)):
        yield piece.encode(errors="backslashreplace")


@functools.cache
def _page() -> tuple[Template, str, str]:
    """The compiled template, the style sheet and the script. Only a daemon that writes reports pays for Jinja."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "page"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"db": words.db, "shown": shown, "listed": words.listed, "several": words.several}
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template("report.html"), style, script


def _policy(script: str) -> str:
    """What the browser lets the page do: nothing over the network, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _view(figures: Figures, cells: Sequence[Mapping[Series, Cell]]) -> dict[str, Any]:
    study, levels = figures.study, figures.levels
    updated = datetime.fromtimestamp(study.updated).astimezone()
    return {
        "study": study,
        "headline": words.headline(study),
        "progress": words.progress(study),
        "finished": words.share_finished(study),
        "counts": _counts(figures),
        "updated": updated.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "updated_iso": updated.isoformat(timespec="seconds"),
        "inputs": [_input(name, number) for number, name in enumerate(levels)],
        "scales": _scales(figures),
        "resolutions": {scale: words.cells_of(study.size, scale) for scale in _scales(figures)} if study.size else {},
        "levels": levels,
        "plain": [(each, _input(each.series.input, number)) for number, each in enumerate(figures.plain)],
        "findings": words.findings(levels),
        "charts": _charts(figures),
        "panels": bars.panels(figures.summaries) if study.pictures else None,
        "bars": bars,
        "unet": _unet(figures) if levels and study.pictures and study.size else None,
        "examples": _examples(figures, cells),
        "tall": len(_scales(figures)) > _MANY_SCALES,
        "named": NAMED,
        "State": State,
    }


def _input(name: str, number: int) -> dict[str, str]:
    """How an input looks everywhere in the page: its colour class and its mark."""
    known = name in MARKS
    return {
        "name": name,
        "task": words.TASKS.get(name, ""),
        "color": f"c-{name}" if known else f"c-other{number % 4 + 1}",
        "mark": MARKS.get(name, "diamond"),
    }


def _scales(figures: Figures) -> list[int]:
    return sorted({scale for of in figures.levels.values() for scale in of})


def _counts(figures: Figures) -> list[tuple[str, int]]:
    """The numbers under the headline: measured always, the others where there are any."""
    study = figures.study
    order = (State.WAITING, State.RUNNING, State.SKIPPED, State.FAILED, State.CANCELLED)
    others = [(state.value, study.counts.get(state, 0)) for state in order]
    found = [*others, ("left out", study.left_out)]
    return [("measured", len(study.pictures)), *((name, count) for name, count in found if count)]


def _charts(figures: Figures) -> dict[str, curves.Chart]:
    inputs = list(figures.levels)
    made = {
        name: curves.chart(figures.summaries, inputs, frame)
        for name, frame in (("wide", curves.WIDE), ("narrow", curves.NARROW))
    }
    return {name: chart for name, chart in made.items() if chart is not None}


def _unet(figures: Figures) -> dict[str, Any]:
    """What the section on U-Nets needs: words for the assumed p and the examples, and the numbers for the script."""
    levels, size = figures.levels, figures.study.size or 1
    able = {name: words.explained(of, ASSUMED_P) for name, of in levels.items()}
    return {
        "p": ASSUMED_P,
        "able": able,
        "verdicts": {name: words.verdict(of, able[name], size) for name, of in levels.items()},
        "examples": [(p, {name: words.explained(of, p) for name, of in levels.items()}) for p in EXAMPLES_OF_P],
        "numbers": {
            "levels": {f"{name} {scale}": _level(each) for name, of in levels.items() for scale, each in of.items()},
            "outcomes": {
                name: [[outcome.limit, outcome.text] for outcome in words.outcomes(of, size)]
                for name, of in levels.items()
            },
        },
    }


def _level(summary: Summary) -> dict[str, Any]:
    """Null stands for infinity."""
    mean = words.threshold(summary)
    return {
        "mean": None if math.isinf(mean) else mean,
        "pictures": summary.pictures,
        "identical": summary.identical,
        "quantiles": [] if not summary.finite else [round(quantile, 2) for quantile in summary.quantiles],
    }


def _examples(figures: Figures, cells: Sequence[Mapping[Series, Cell]]) -> list[dict[str, Any]]:
    study = figures.study
    return [
        {
            "name": study.pictures[each.row],
            "title": title,
            "overall": each.overall,
            "cells": pictures,
            "psnr": dict(zip(study.series, figures.psnr[each.row].tolist(), strict=True)),
        }
        for each, title, pictures in zip(figures.examples, _titles(figures), cells, strict=True)
    ]


def _titles(figures: Figures) -> list[str]:
    """`Lowest`, `Second lowest`, `Typical`, …, `Second highest`, `Highest`."""
    roles = [each.role for each in figures.examples]
    lows, highs = roles.count(Role.LOWEST), roles.count(Role.HIGHEST)
    ranks = ("Lowest", "Second lowest")[:lows], ("Second highest", "Highest")[2 - highs :]
    return [*ranks[0], *["Typical"] * roles.count(Role.TYPICAL), *ranks[1]]
