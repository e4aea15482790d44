"""Which pictures a report shows: the most extreme ones, and a few from the middle."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TYPICAL = 3
EXTREMES = 2
"""How many of each kind are shown, the extremes at either end."""

_FEW = TYPICAL + 2 * EXTREMES
_MIDDLE = 0.1
"""A picture this near to the median in rank, as a share of all, still is typical while others arrive."""


class Role(enum.StrEnum):
    """Why a picture is shown."""

    LOWEST = "lowest"
    TYPICAL = "typical"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class Example:
    """One picture shown: its row in the study, and the figure in dB by which pictures are ranked."""

    row: int
    role: Role
    overall: float


def overall(psnr: NDArray[np.float64]) -> NDArray[np.float64]:
    """One figure for each picture, in dB: the mean of its `psnr`, pictures × series in dB.

    Series in which every picture is identical tell none from another and are left out. A picture that is identical in
    one more, as a single colour is when pooled, has an infinite mean and ranks highest.
    """
    telling = psnr[:, np.isfinite(psnr).any(axis=0)]
    return telling.mean(axis=1) if telling.shape[1] else np.full(len(psnr), np.inf)


def choose(ranking: NDArray[np.float64], shown: Collection[int] = ()) -> list[Example]:
    """The pictures to show by ascending overall PSNR `ranking`, one value a picture.

    Typical pictures are those nearest the median in rank. Of those `shown` already (rows) the ones that lie in the
    middle fifth stay, since a median moves with every picture that arrives, and each new example must be decoded.
    """
    order = np.argsort(ranking, kind="stable")
    ends = min(EXTREMES if len(order) >= _FEW else 1, len(order) // 2)
    low, high = order[:ends], order[len(order) - ends :]
    chosen = dict.fromkeys(low.tolist(), Role.LOWEST)
    chosen |= dict.fromkeys(_typical(order, ends, shown), Role.TYPICAL)
    chosen |= dict.fromkeys(high.tolist(), Role.HIGHEST)
    return [Example(row, role, float(ranking[row])) for row, role in chosen.items()]


def _typical(order: NDArray[np.intp], ends: int, shown: Collection[int]) -> list[int]:
    """Rows near the middle of `order`, leaving out `ends` at either side, by ascending rank."""
    ranks = np.arange(ends, len(order) - ends)
    distance = np.abs(ranks - (len(order) - 1) / 2)
    stays = np.isin(order[ranks], list(shown)) & (distance <= _MIDDLE * len(order))
    nearest = np.lexsort((distance, ~stays))[:TYPICAL]
    return order[np.sort(ranks[nearest])].tolist()  # type: ignore[no-any-return]
