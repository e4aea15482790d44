"""A state taken up again gives what an undisturbed run gives, bit for bit; with other weights it begins anew."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from daemon.tasks import checkpoint
from daemon.tasks.folder import TaskFolder
from daemon.tasks.history import History
from daemon.tasks.messages import Finished, Run
from daemon.tasks.running import Running
from kernels import style_memory
from kernels.chain import parse_chain
from kernels.features.networks import WeightsMissing, identity
from kernels.tasks import TaskStarved
from tests.style.runs import pair, run, same


@pytest.fixture(autouse=True)
def _warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker that has run a task before: plans are the same whichever test is first."""
    monkeypatch.setattr(style_memory, "_begun", {identity("efficientnet-lite0")})


WAYS: dict[str, dict[str, Any]] = {
    "lbfgs": {"optimizer": "lbfgs"},
    "adam": {"optimizer": "adam", "noise": 0.3, "seed": 5},
    "luminance": {"color": "luminance"},
    "match": {"color": "match", "optimizer": "adam"},
}
STEPS = 6


@pytest.mark.parametrize("way", list(WAYS))
def test_taken_up_again_anywhere(way: str, tmp_path: Path) -> None:
    """Before, at and after the change of size, before the first step, and when only judging is left.

    What memory there is is of no matter.
    """
    inputs = pair(height=151, width=200)
    chosen: dict[str, Any] = {"iterations": STEPS, **WAYS[way]}
    whole = run(inputs, keep=True, **chosen)
    half, made = STEPS // 2, [told.step for told in whole.told]
    assert made == [0, 0, *range(1, half + 1), half, half, *range(half + 1, half + STEPS + 1), half + STEPS]
    for number in (0, half + 1, half + 2, half + 4, -1):
        checkpoint.save(tmp_path / "kept", "key", whole.snapshots[number])
        state = checkpoint.load(tmp_path / "kept", "key", torch.device("cpu"))
        rest = run(inputs, state, memory=1 << 30, **chosen)
        assert rest.losses == whole.losses[made[number] :]
        assert same(rest.picture, whole.picture) and rest.record == whole.record


def test_in_tiles_too() -> None:
    inputs = pair(height=420, width=420)
    chosen: dict[str, Any] = {"iterations": 2, "memory": 200 << 20, "optimizer": "adam"}
    whole = run(inputs, keep=True, **chosen)
    assert whole.snapshots[0]["plan"][-1]["side"] < 420
    rest = run(inputs, copy.deepcopy(whole.snapshots[-3]), **chosen)
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


def test_begun_anew_the_worker_counts_anew(tmp_path: Path) -> None:
    """Losses of steps that are not in the picture do not stand in its history."""
    inputs = pair()
    state = run(inputs, keep=True, iterations=3).snapshots[3] | {"identity": "others"}
    folder, history = TaskFolder(tmp_path / "task"), History()
    for role, pixels in inputs.items():
        folder.write_input(role, pixels.numpy())
    history.note(9, {"loss": 1.0})
    kept = {"state": state, "step": 9, "steps": 9, "history": history.plain(), "seconds": 1.0}
    checkpoint.save(folder.checkpoint, "key", kept)
    (step,) = parse_chain({"style_transfer": {"iterations": 3}})
    order = Run(str(folder.path), step.name, dict(step.parameters), tuple(inputs), "key", 0, 1e9, None)
    done = Running(order, torch.device("cpu"), lambda report: None, threading.Event()).run()
    assert isinstance(done, Finished) and [number for number, _ in done.history] == [1, 2, 3] and done.steps == 3
    assert done.told == ("through efficientnet-lite0",)


def test_more_thrift_is_another_plan() -> None:
    inputs = pair(height=400, width=400)
    plenty, scarce = (run(inputs, iterations=1, memory=300 << 20, thrift=thrift) for thrift in (0, 2))
    assert scarce.record["memory_estimate"] < plenty.record["memory_estimate"]
    with pytest.raises(TaskStarved, match="can be had; give it a smaller size, or free memory"):
        run(inputs, iterations=1, memory=100 << 20)


def test_a_network_that_is_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DARKROOM_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing):
        run(pair(), network="vgg19")
