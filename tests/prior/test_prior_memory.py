"""What a plan promises comes true, in a worker's process: whole, in tiles, and for later jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.prior.runs import needs_bfloat16
from tests.worker_jobs import Job, records


def prior(height: int, width: int, memory: int, **parameters: Any) -> Job:
    chosen = {"iterations": 2, "precision": "float32", **parameters}
    return Job("deep_image_prior", chosen, memory, {"picture": (height, width)})


@pytest.mark.parametrize(
    ("precision", "memory", "tiles"),
    [("float32", 8000, 1), ("float32", 550, 4), pytest.param("bfloat16", 360, 4, marks=needs_bfloat16)],
)
def test_the_estimate_is_what_it_takes(precision: str, memory: int, tiles: int, tmp_path: Path) -> None:
    """Within a quarter, for the first job of a worker: in one piece, and in tiles."""
    (record,) = records(tmp_path, prior(512, 512, memory, precision=precision))
    peak, estimate = record["memory_peak"], record["memory_estimate"]
    assert 0.75 <= peak / estimate <= 1.25, (peak, estimate)
    assert estimate <= memory and record["tiles"] == tiles


def test_later_jobs_take_no_more(tmp_path: Path) -> None:
    """Other sizes, networks, and a result that is larger than its picture: holes that they leave are reckoned with."""
    later = (
        prior(256, 256, 8000),
        prior(120, 100, 8000, job="super_resolution"),
        prior(160, 160, 8000, size="standard"),
    )
    told = [(record["memory_peak"], record["memory_estimate"]) for record in records(tmp_path, *later)]
    assert all(0.5 <= peak / estimate <= 1.25 for peak, estimate in told), told
