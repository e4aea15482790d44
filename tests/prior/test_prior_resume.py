"""A state taken up again gives what an undisturbed run gives, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from daemon.tasks import checkpoint
from kernels import prior_plan, prior_stop
from tests.kernels.hybrids import photograph
from tests.prior.runs import noisy, run

GREY = "a grey picture"
WAYS: dict[str, dict[str, Any]] = {
    "held-out pixels": {"stop": "held_out", "patience": 10},
    "variance": {"stop": "variance", "patience": 10},
    "fixed, without jitter": {"stop": "fixed", "precision": "float32", "jitter": 0.0},
    GREY: {"stop": "fixed"},
}


@pytest.mark.parametrize("way", WAYS)
def test_taken_up_again_anywhere(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after the first step at which a signal counts."""
    monkeypatch.setattr(prior_stop, "LAG", 10)
    _, given = noisy(height=32, width=40)
    if way == GREY:  # a network of one color
        given = given[..., :1].repeat(1, 1, 3)
    chosen: dict[str, Any] = {"iterations": 24, **WAYS[way]}
    whole = run({"picture": given}, keep=True, **chosen)
    for number in (5, 14):
        checkpoint.save(tmp_path / "kept", "key", whole.snapshots[number])
        state = checkpoint.load(tmp_path / "kept", "key", torch.device("cpu"))
        rest = run({"picture": given}, state, memory=1 << 30, **chosen)
        assert rest.losses == whole.losses[number + 1 :]
        assert torch.equal(rest.picture, whole.picture) and rest.record == whole.record


@pytest.mark.usefixtures("tiles_of_128")
def test_from_tile_to_tile(tmp_path: Path) -> None:
    """At the last step of one, the first of the next, and the very last; what memory there is then is of no matter."""
    inputs = {"picture": photograph("chelsea", 60, 200)}
    chosen: dict[str, Any] = {"iterations": 2, "stop": "fixed"}
    whole = run(inputs, keep=True, **chosen)
    assert whole.record["tiles"] > 2
    for number in (1, 2, 3, len(whole.snapshots) - 1):
        checkpoint.save(tmp_path / "kept", "key", whole.snapshots[number])
        state = checkpoint.load(tmp_path / "kept", "key", torch.device("cpu"))
        rest = run(inputs, state, **chosen)
        assert rest.losses == whole.losses[number + 1 :]
        assert torch.equal(rest.picture, whole.picture) and rest.record == whole.record


def test_more_thrift_is_another_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prior_plan, "SIDES", (160, 96))
    inputs = {"picture": photograph("chelsea", 90, 160)}
    plenty, scarce = (
        run(inputs, iterations=1, precision="float32", memory=320 << 20, thrift=thrift) for thrift in (0, 2)
    )
    assert scarce.record["memory_estimate"] < plenty.record["memory_estimate"]
    assert scarce.record["tiles"] > plenty.record["tiles"]
