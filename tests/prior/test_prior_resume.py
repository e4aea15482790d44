"""A state taken up again gives what an undisturbed run gives, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from daemon.tasks import checkpoint
from kernels import prior_plan
from tests.kernels.hybrids import photograph
from tests.prior.runs import noisy, run


@pytest.fixture(autouse=True)
def _warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker that has run a task before: plans are the same whichever test is first."""
    monkeypatch.setattr(prior_plan, "_begun", {"torch"})


WAYS: dict[str, dict[str, Any]] = {
    "held-out pixels": {"stop": "held_out", "patience": 10},
    "variance": {"stop": "variance", "patience": 10},
    "fixed, without jitter": {"stop": "fixed", "precision": "float32", "jitter": 0.0},
}


@pytest.mark.parametrize("way", WAYS)
def test_taken_up_again_anywhere(way: str, tmp_path: Path) -> None:
    """Before and after the first step at which a signal counts."""
    _, given = noisy(height=32, width=40)
    chosen: dict[str, Any] = {"iterations": 114, **WAYS[way]}
    whole = run({"picture": given}, keep=True, **chosen)
    for number in (95, 104):
        checkpoint.save(tmp_path / "kept", "key", whole.snapshots[number])
        state = checkpoint.load(tmp_path / "kept", "key", torch.device("cpu"))
        rest = run({"picture": given}, state, memory=1 << 30, **chosen)
        assert rest.losses == whole.losses[number + 1 :]
        assert torch.equal(rest.picture, whole.picture) and rest.record == whole.record


def test_from_tile_to_tile(tmp_path: Path) -> None:
    """At the last step of one, the first of the next, and the very last; what memory there is then is of no matter."""
    inputs = {"picture": photograph("chelsea", 270, 300)}
    chosen: dict[str, Any] = {"iterations": 2, "stop": "fixed", "precision": "float32"}
    whole = run(inputs, keep=True, memory=250 << 20, **chosen)
    assert whole.record["tiles"] > 2
    for number in (1, 2, 3, len(whole.snapshots) - 1):
        checkpoint.save(tmp_path / "kept", "key", whole.snapshots[number])
        state = checkpoint.load(tmp_path / "kept", "key", torch.device("cpu"))
        rest = run(inputs, state, **chosen)
        assert rest.losses == whole.losses[number + 1 :]
        assert torch.equal(rest.picture, whole.picture) and rest.record == whole.record


def test_more_thrift_is_another_plan() -> None:
    inputs = {"picture": photograph("chelsea", 300, 300)}
    plenty, scarce = (
        run(inputs, iterations=1, precision="float32", memory=800 << 20, thrift=thrift) for thrift in (0, 2)
    )
    assert scarce.record["memory_estimate"] < plenty.record["memory_estimate"]
    assert scarce.record["tiles"] > plenty.record["tiles"]
