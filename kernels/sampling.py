"""Where pixels come from: index vectors along one axis, as plain int64 tensors.

Every function takes the side `n` ≥ 1 as an int, or as a symbolic size while a graph is exported, and specialises to
neither. All of them return indices in 0..n−1 (or 0..cells−1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import torch

if TYPE_CHECKING:
    from torch import Tensor


def cell_count(n: int, block: int) -> int:
    """How many cells of `block` pixels cover `n` pixels; the last may be partial."""
    return (n + block - 1) // block


def centres(n: int, block: int) -> Tensor:
    """The pixel that stands for each cell: min(block·i + ⌊block/2⌋, n − 1)."""
    return torch.clamp(torch.arange(cell_count(n, block)) * block + block // 2, max=n - 1)


def cells(n: int, block: int) -> Tensor:
    """The cell each of the `n` pixels lies in: nearest-neighbour enlargement by `block`, cut to `n`."""
    return torch.arange(n) // block


def replicated(indices: Tensor, n: int) -> Tensor:
    """Indices beyond the picture moved to its nearest pixel."""
    return torch.clamp(indices, min=0, max=n - 1)


def reflected(indices: Tensor, n: int, reach: int) -> Tensor:
    """Indices up to `reach` pixels beyond the picture mirrored into it, its rim not repeated (numpy's "reflect").

    A side of `reach` pixels or fewer has nothing to mirror that far out; there the rim is replicated instead.
    """
    mirrored = (n - 1) - ((n - 1) - indices.abs()).abs()
    # Both are computed and one is chosen, since a branch on a symbolic size would fix it in the exported graph.
    long_enough = torch.full((1,), 1) * n > reach
    return torch.where(long_enough, replicated(mirrored, n), replicated(indices, n))
