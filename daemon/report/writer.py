"""Writes a report's three files: all made durable under temporary names, then all renamed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon.publishing.outputs import write_together
from daemon.report.as_csv import csv_pieces
from daemon.report.as_html import html_pieces
from daemon.report.as_json import json_pieces
from daemon.report.figures import Figures, compute
from daemon.report.grid import Cell, Gallery, Load
from daemon.report.values import Study
from kernels.spec import Series


class ReportWriter:
    """Writes the report of one rule again and again. Keeps the pictures it has rendered; for one thread at a time."""

    def __init__(self) -> None:
        self._gallery = Gallery()
        self._typical: set[str] = set()

    def write(self, folder: Path, study: Study, load: Load) -> None:
        """Write report.csv, report.json and report.html into `folder`, which is made if need be.

        `load` gives the decoded picture of a source (absolute path), uint8 H×W×3 RGB at its own size, or None when it
        is gone; it is asked for seven pictures at most, and only for those that the last report did not show.
        Should one file fail, the old three stay. Raises BlockedError or OutputRefused.
        """
        figures = compute(study, self._typical)
        self._typical = figures.typical
        write_together(
            {
                str(folder / "report.csv"): csv_pieces(study.pictures, study.series, study.mse, figures.psnr),
                str(folder / "report.json"): json_pieces(figures),
                str(folder / "report.html"): html_pieces(figures, self._cells(figures, load)),
            }
        )

    def _cells(self, figures: Figures, load: Load) -> list[Mapping[Series, Cell]]:
        study = figures.study
        wanted = [(study.sources[each.row], study.mse[each.row].tobytes()) for each in figures.examples]
        return self._gallery.render(wanted, study.series, study.size, load)
