"""Studies made from numbers, and pages read as a browser would."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.model import State
from daemon.report.values import Study
from daemon.report.writer import ReportWriter
from kernels.spec import Series
from tests.box import Pixels

SCALES = (1, 2, 4, 8, 16, 32)
INPUTS = ("true", "gray", "mosaic")
SEED = {
    "true": (np.inf, 24.61, 20.77, 18.32, 16.31, 14.57),
    "gray": (19.85, 18.65, 17.39, 16.19, 14.97, 13.74),
    "mosaic": (15.58, 15.58, 15.55, 15.41, 15.17, 14.22),
}
"""The seed's table, mean PSNR in dB by input over SCALES."""


def grid_of(inputs: Sequence[str] = INPUTS, scales: Sequence[int] = SCALES) -> tuple[Series, ...]:
    return tuple(Series(name, scale) for name in inputs for scale in scales)


def errors_of(psnr: Any) -> NDArray[np.float64]:
    """Mean squared errors on 0..1 of decibels; an infinite PSNR is no error."""
    return np.asarray(10.0 ** (-np.asarray(psnr, np.float64) / 10))


def seed_errors(pictures: int, spread: float = 0.0) -> NDArray[np.float64]:
    """Pictures whose PSNR has the means of the seed's table, spread evenly by ± `spread` dB."""
    means = np.concatenate([SEED[name] for name in INPUTS])
    shifts = np.linspace(-spread, spread, pictures) if pictures > 1 else np.zeros(1)
    return errors_of(means + shifts[:, None])


def make_study(mse: NDArray[np.float64], series: tuple[Series, ...] | None = None, **changes: Any) -> Study:
    """A complete study of pictures called p0.png, p1.png, …, changed as told."""
    names = [f"p{row}.png" for row in range(len(mse))]
    values: dict[str, Any] = {
        "rule": "study",
        "steps": "pool_upsample_psnr: {size: 256}",
        "series": grid_of() if series is None else series,
        "size": 256,
        "pictures": names,
        "sources": [f"/in/{name}" for name in changes.get("pictures", names)],
        "mse": mse,
        "counts": {State.DONE: len(mse)},
        "skipped": [],
        "failed": [],
        "devices": {"CPU": len(mse)},
        "left_out": 0,
        "updated": 1_800_000_000.25,
    }
    return Study(**(values | changes))


def gone(source: str) -> Pixels | None:
    return None


def written(
    folder: Path, study: Study, load: Callable[[str], Pixels | None] = gone, writer: ReportWriter | None = None
) -> Report:
    """The report of a study, written and read again."""
    (writer or ReportWriter()).write(folder, study, load)
    return Report(folder)


@dataclass
class Report:
    """The three files of a report."""

    folder: Path

    @property
    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "report.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def json(self) -> dict[str, Any]:
        text = (self.folder / "report.json").read_text(encoding="utf-8")
        content: dict[str, Any] = json.loads(text, parse_constant=lambda name: f"{name} is not JSON")
        return content

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")

    @property
    def page(self) -> Page:
        return Page(self.html)


@dataclass
class Element:
    """One element: `text` is all the text in it, elements within included."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        found = [each for child in self.inside for each in child.all(tag)]
        return ([self] if self.tag == tag else []) + found

    @property
    def words(self) -> str:
        """The text, every run of white space as one blank."""
        return " ".join(self.text.split())


class Page(HTMLParser):
    """A page as a tree. Refuses what is not well-formed: every element is closed, in order."""

    VOID = frozenset({"meta", "img", "input", "br", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert self._open == [self.root], f"never closed: {self._open[-1]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag}: an attribute twice: {attrs}"
        element = Element(tag, dict(attrs))
        self._open[-1].inside.append(element)
        if tag not in self.VOID:
            self._open.append(element)
        elif tag == "br":
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return self.root.all(tag)

    def section(self, name: str) -> Element:
        """The section whose heading has this id."""
        (found,) = [each for each in self.all("section") if each.attributes["aria-labelledby"] == name]
        return found

    @property
    def sections(self) -> list[str | None]:
        return [each.attributes["aria-labelledby"] for each in self.all("section")]

    def table(self, section: str, number: int = 0) -> list[list[str]]:
        """A table's cells as text, row by row, its head included."""
        rows = self.section(section).all("table")[number].all("tr")
        return [[cell.words for cell in row.inside if cell.tag in ("td", "th")] for row in rows]
