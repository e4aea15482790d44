"""A study with everything computed that its files show: decibels, summaries, examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.report.examples import Example, Role, choose, overall
from daemon.report.summary import Summary, decibels, summarise
from daemon.report.values import Study

Levels: TypeAlias = Mapping[str, Mapping[int, Summary]]
"""Summaries by input, then scale, both in the order of the study."""


@dataclass(frozen=True, slots=True)
class Figures:
    """`psnr` is pictures × series in dB; the rows of `examples` count in `study.pictures`."""

    study: Study
    psnr: NDArray[np.float64]
    summaries: tuple[Summary, ...]
    examples: tuple[Example, ...]

    @property
    def levels(self) -> Levels:
        """The summaries of series that have a scale."""
        found: dict[str, dict[int, Summary]] = {}
        for each in self.summaries:
            if each.series.scale is not None:
                found.setdefault(each.series.input, {})[each.series.scale] = each
        return found

    @property
    def plain(self) -> list[Summary]:
        """The summaries of series without a scale: those of the step `psnr`."""
        return [each for each in self.summaries if each.series.scale is None]

    @property
    def typical(self) -> set[str]:
        """The sources of the typical pictures shown."""
        return {self.study.sources[each.row] for each in self.examples if each.role is Role.TYPICAL}


def compute(study: Study, shown: Collection[str] = ()) -> Figures:
    """All figures of a study. While it is incomplete, typical pictures `shown` before (sources) may stay.

    A complete study gives the same figures whatever was shown before.
    """
    psnr = decibels(study.mse)
    rows = [row for row, source in enumerate(study.sources) if source in shown] if shown and not study.complete else []
    examples = choose(overall(psnr), rows)
    return Figures(study, psnr, summarise(study.series, psnr), tuple(examples))
