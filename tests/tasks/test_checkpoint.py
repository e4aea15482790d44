"""checkpoint.py: what is saved comes back to the last bit, or not at all, and nothing is ever executed."""

from __future__ import annotations

import json
import math
import pickletools
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from daemon.tasks import checkpoint

CPU = torch.device("cpu")
TENSORS = {
    "scalar": torch.tensor(1 / 3),
    "empty": torch.empty(0, 3),
    "bf16": torch.randn(3, 5).to(torch.bfloat16),
    "half": torch.randn(7).half(),
    "double": torch.randn(2, 2, dtype=torch.float64),
    "uint8": torch.arange(256, dtype=torch.uint8),
    "int64": torch.tensor([-(2**63), 2**63 - 1]),
    "bool": torch.tensor([True, False]),
    "turned": torch.arange(12.0).reshape(3, 4).T,
    "strided": torch.arange(20.0)[::3],
    "spread": torch.tensor([1.0]).expand(4),
    "special": torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45]),
    "random": torch.Generator().get_state(),
}
PLAIN: dict[str, Any] = {
    "floats": [0.1, 1 / 3, 1e-308, 5e-324, 1.7976931348623157e308, -0.0, math.inf],
    "whole": [0, -1, 2**70],
    "words": ["", "é\n\x00\U0001f600", "tensor", "dict"],
    "flags": (True, False, None),
    "nested": {"deep": [{"deeper": ({}, [], ())}]},
    "counted": {0: {"step": 1}, 1: {"step": 2}, -5: None},
    "mixed keys": {True: 1, "1": 2, 2: 3, None: 4, 0.5: 5},
    "told like ours": {"tensor": "0", "on": "device", "dict": [], "list": [], "tuple": ()},
}


def saved(path: Path, tree: Any, key: str = "k") -> dict[str, Any]:
    checkpoint.save(path, key, tree)
    found = checkpoint.load(path, key, CPU)
    assert found is not None
    return found


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_come_back_to_the_last_bit(tmp_path: Path, name: str) -> None:
    tensor = TENSORS[name]
    back = saved(tmp_path / "c", {"t": tensor})["t"]
    assert back.dtype == tensor.dtype and back.shape == tensor.shape
    ours = tensor.contiguous().reshape(-1).view(torch.uint8)
    assert torch.equal(back.reshape(-1).view(torch.uint8), ours)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_come_back_with_their_types(tmp_path: Path, name: str) -> None:
    back = saved(tmp_path / "c", {name: PLAIN[name]})
    assert back == {name: PLAIN[name]} and repr(back) == repr({name: PLAIN[name]})


def test_nan_comes_back(tmp_path: Path) -> None:
    assert math.isnan(saved(tmp_path / "c", {"x": math.nan})["x"])


def test_tensors_that_share_their_storage(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    back = saved(tmp_path / "c", {"whole": whole, "again": whole, "part": whole[2:4]})
    assert torch.equal(back["again"], whole) and torch.equal(back["part"], whole[2:4])


def test_an_optimiser_and_a_generator_go_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    def steps(number: int, kept: dict[str, Any] | None) -> dict[str, Any]:
        weight, generator = torch.ones(5, requires_grad=True), torch.Generator()
        optimizer = torch.optim.Adam([weight], lr=0.1, amsgrad=True)
        generator.manual_seed(3)
        if kept is not None:
            optimizer.load_state_dict(kept["optimizer"])
            generator.set_state(kept["generator"])
            weight.data.copy_(kept["weight"])
        for _ in range(number):
            optimizer.zero_grad()
            ((weight - torch.randn(5, generator=generator)) ** 2).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return {
            "optimizer": optimizer.state_dict(),
            "generator": generator.get_state(),
            "weight": weight.detach().clone(),
        }

    resumed = steps(6, saved(tmp_path / "c", steps(4, None)))
    assert torch.equal(resumed["weight"], steps(10, None)["weight"])


def test_another_key_or_no_file_gives_nothing(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", "mine", {"x": 1})
    assert checkpoint.load(tmp_path / "c", "other", CPU) is None
    assert checkpoint.load(tmp_path / "none", "mine", CPU) is None
    assert checkpoint.load(tmp_path / "c", "mine", CPU) == {"x": 1}


def test_damage_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    """A byte that changed, a file that is short, a file of something else: never a wrong state, never an exception."""
    path, tree = tmp_path / "c", {"t": torch.arange(50.0), "n": [1, 2.5, "three"], "s": {"step": 4}}
    checkpoint.save(path, "k", tree)
    whole, chance = path.read_bytes(), random.Random(1)
    places = [*range(0, 12), *(chance.randrange(len(whole)) for _ in range(300)), len(whole) - 1]
    for place in places:
        for value in {0, 255, whole[place] ^ 1, whole[place] ^ 32}:
            damaged = bytearray(whole)
            damaged[place] = value
            path.write_bytes(damaged)
            found = checkpoint.load(path, "k", CPU)
            if found is not None:  # the padding after the header means nothing
                assert torch.equal(found["t"], tree["t"]) and found["n"] == tree["n"], f"byte {place}"  # type: ignore[arg-type]
    for length in (0, 1, 8, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert checkpoint.load(path, "k", CPU) is None, f"{length} bytes"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 100)
    assert checkpoint.load(path, "k", CPU) is None


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j, lambda: None, Path()], ids=lambda v: type(v).__name__
)
def test_other_values_are_refused_and_the_old_checkpoint_stays(tmp_path: Path, value: object) -> None:
    checkpoint.save(tmp_path / "c", "k", {"x": 1})
    with pytest.raises(TypeError, match="a task's state cannot hold"):
        checkpoint.save(tmp_path / "c", "k", {"x": [value]})
    assert checkpoint.load(tmp_path / "c", "k", CPU) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_nothing_in_it_is_pickled(tmp_path: Path) -> None:
    """The file is a JSON header and raw bytes, and reading it works where unpickling is impossible."""
    path = tmp_path / "c"
    checkpoint.save(path, "k", {"t": torch.zeros(4), "n": {"a": (1, None)}})
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert set(json.loads(data[8 : 8 + size])) == {"__metadata__", "0"}
    assert data[8 + size :] == bytes(16)
    with pytest.raises(ValueError, match=r"."):
        list(pickletools.genops(data))


def test_a_disk_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path / "c", "k", {"x": 1})

    def fail(path: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "sync_file", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path / "c", "k", {"x": 2})
    assert checkpoint.load(tmp_path / "c", "k", CPU) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_folder_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        checkpoint.save(tmp_path / "none" / "c", "k", {"t": torch.zeros(4)})
