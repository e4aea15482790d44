"""A state taken up again gives what an undisturbed run gives, bit for bit; with other weights it begins anew."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from daemon.tasks import checkpoint
from kernels.features import WeightsMissing
from tests.style.runs import pair, run, same

WAYS: dict[str, dict[str, Any]] = {
    "lbfgs": {"optimizer": "lbfgs"},
    "adam": {"optimizer": "adam", "noise": 0.3, "seed": 5},
    "luminance": {"color": "luminance"},
    "match": {"color": "match", "optimizer": "adam"},
}
STEPS = 6


@pytest.mark.parametrize("way", list(WAYS))
def test_taken_up_again_anywhere(way: str, tmp_path: Path) -> None:
    """Before, at and after the change of size. What memory there is then is of no matter."""
    inputs = pair(height=151, width=200)
    chosen: dict[str, Any] = {"iterations": STEPS, **WAYS[way]}
    whole = run(inputs, keep=True, **chosen)
    assert len(whole.snapshots) == 2 * STEPS
    for number in (1, STEPS - 1, STEPS, STEPS + 1):
        checkpoint.save(tmp_path / "kept", "key", whole.snapshots[number - 1])
        state = checkpoint.load(tmp_path / "kept", "key", torch.device("cpu"))
        rest = run(inputs, state, memory=1 << 30, **chosen)
        assert rest.losses == whole.losses[number:]
        assert same(rest.picture, whole.picture) and rest.record == whole.record


def test_in_tiles_too() -> None:
    inputs = pair(height=420, width=420)
    chosen: dict[str, Any] = {"iterations": 2, "memory": 420 << 20, "optimizer": "adam"}
    whole = run(inputs, keep=True, **chosen)
    assert whole.snapshots[0]["plan"][-1]["side"] < 420
    rest = run(inputs, copy.deepcopy(whole.snapshots[-2]), **chosen)
    assert rest.losses == whole.losses[-1:] and same(rest.picture, whole.picture)


def test_other_weights_since_then(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = pair()
    whole = run(inputs, keep=True, iterations=3)
    state = copy.deepcopy(whole.snapshots[1])
    state["identity"] = "others"
    assert run(inputs, state, iterations=3).losses == whole.losses, "from the start"
    state = copy.deepcopy(whole.snapshots[1])
    state["network"] = "vgg19"
    assert run(inputs, state, iterations=3).record["network"] == "efficientnet-lite0", "which is gone"


def test_more_thrift_is_another_plan() -> None:
    inputs = pair(height=400, width=400)
    plenty, scarce = (run(inputs, iterations=1, memory=900 << 20, thrift=thrift) for thrift in (0, 2))
    assert scarce.record["memory_estimate"] < plenty.record["memory_estimate"]
    with pytest.raises(MemoryError, match="can be had; give it a smaller size, or free memory"):
        run(inputs, iterations=1, memory=100 << 20)


def test_a_network_that_is_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DARKROOM_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing):
        run(pair(), network="vgg19")
