"""Graphs that the tests of the runtime share."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.store import GraphStore
from kernels.chain import parse_chain


@pytest.fixture(scope="session")
def mosaic(graphs: Path) -> Path:
    """The graph of a mosaic: it computes in float64."""
    return GraphStore(graphs).ensure(parse_chain([{"mosaic": {"block": 16}}]))


@pytest.fixture(scope="session")
def measuring(graphs: Path) -> Path:
    """A graph that gives numbers and no pictures."""
    return GraphStore(graphs).ensure(parse_chain("psnr"))


@pytest.fixture(scope="session")
def pooling(shared: Path) -> Path:
    """A graph that computes in float32."""
    steps = ["grayscale", {"pool_upsample": {"scale": 8}}]
    return GraphStore(shared / "pooling").ensure(parse_chain(steps))
