"""Decibels, and what sums up a column of them. Pure functions of arrays; nothing here knows files or words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.spec import Series

BIN = 0.5
"""Width of a histogram's bins in dB; their edges are its multiples, so that bins of all series fall together."""

_PERCENT = np.linspace(0, 1, 101)


def decibels(mse: NDArray[np.float64]) -> NDArray[np.float64]:
    """PSNR in dB of mean squared errors on the scale 0..1, any shape; +∞ where the error is 0."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(1 / mse)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in each bin: bin i covers low + i·BIN up to, not including, low + (i + 1)·BIN; dB."""

    low: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The PSNR of one series, in dB.

    Pictures without any error have an infinite PSNR: `identical` counts them, and every other figure is over the rest.
    Where there is no rest, `mean` and the quantiles are +∞; where there is no picture at all, they are NaN. `sd` is the
    sample standard deviation (n − 1), NaN below two values. `quantiles` are 101: the minimum, every per cent, the
    maximum, interpolated linearly as numpy does.
    """

    series: Series
    pictures: int
    identical: int
    mean: float
    sd: float
    quantiles: tuple[float, ...]
    histogram: Histogram

    @property
    def median(self) -> float:
        """Half of the values are above."""
        return self.quantiles[50]

    @property
    def p10(self) -> float:
        """A tenth of the values is below."""
        return self.quantiles[10]

    @property
    def p90(self) -> float:
        """A tenth of the values is above."""
        return self.quantiles[90]

    @property
    def finite(self) -> bool:
        """Whether there is a mean that can be drawn."""
        return math.isfinite(self.mean)

    def share_reaching(self, p: float) -> float:
        """The share of all pictures whose PSNR is at least `p` dB, to about 1 %: counted on the quantiles to 0.01 dB.

        report.js counts in the same way; exact shares would need every picture's numbers in the page.
        """
        if not self.pictures:
            return 0.0
        above = sum(round(quantile, 2) >= p for quantile in self.quantiles) / len(self.quantiles)
        return (self.identical + above * (self.pictures - self.identical)) / self.pictures


def summarise(series: Sequence[Series], psnr: NDArray[np.float64]) -> tuple[Summary, ...]:
    """One Summary for each column of `psnr`, pictures × series in dB."""
    return tuple(_summary(each, psnr[:, column]) for column, each in enumerate(series))


def _summary(series: Series, column: NDArray[np.float64]) -> Summary:
    values = np.sort(column[np.isfinite(column)])
    identical = len(column) - len(values)
    if not len(values):
        level = math.inf if identical else math.nan
        return Summary(series, len(column), identical, level, math.nan, (level,) * 101, Histogram(0.0, ()))
    sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    quantiles = tuple(np.quantile(values, _PERCENT).tolist())
    return Summary(series, len(column), identical, float(values.mean()), sd, quantiles, _histogram(values))


def _histogram(values: NDArray[np.float64]) -> Histogram:
    bins = np.floor(values / BIN).astype(np.int64)
    low = int(bins[0])  # the values are sorted
    return Histogram(low * BIN, tuple(np.bincount(bins - low).tolist()))
