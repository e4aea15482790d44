"""Gram matrices: which channels of a layer answer together, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def by_position(features: Tensor) -> Tensor:
    """N×h×w features as M×N: as they lie in memory, channels last, so that nothing is copied."""
    return features.permute(1, 2, 0).flatten(0, 1)


def gram(features: Tensor) -> Tensor:
    """G = F·Fᵀ of N×h×w features: N×N."""
    flat = by_position(features)
    return flat.T @ flat
