"""Options, as they are handed to ONNX Runtime: what must be in them, and that the real one knows their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.runtime import providers
from daemon.runtime.devices import PROVIDERS, Device
from daemon.runtime.engine_cache import key_of, parts_of, place, prune
from daemon.runtime.libraries import FILES
from daemon.runtime.providers import Bucket
from tests.runtime.fakes import H200

GIB = 1 << 30
BUCKET = Bucket(480, 640, 52)


def options_of(plan: providers.Plan, device: Device) -> dict[str, str]:
    return dict(dict(plan.providers)[PROVIDERS[device]])


def test_cuda_is_bounded_and_exact() -> None:
    plan = providers.cuda(100 * GIB)
    options = options_of(plan, Device.CUDA)
    assert options["gpu_mem_limit"] == str(80 * GIB) and options["use_tf32"] == "0"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert [name for name, _ in plan.providers] == [PROVIDERS[Device.CUDA], PROVIDERS[Device.CPU]]
    assert plan.entries["session.record_ep_graph_assignment_info"] == "1", "without it there is no proof"
    assert plan.size is None


def test_a_card_that_is_nearly_full_still_gets_a_limit_that_works() -> None:
    assert providers.memory_limit(0) == 256 << 20


def test_tensorrt_stands_on_cuda_and_has_a_profile() -> None:
    plan = providers.tensorrt(100 * GIB, Path("/engines"), Path("/timing"), BUCKET)
    options = options_of(plan, Device.TENSORRT)
    assert [name for name, _ in plan.providers] == [PROVIDERS[d] for d in (Device.TENSORRT, Device.CUDA, Device.CPU)]
    assert (options["trt_engine_cache_path"], options["trt_timing_cache_path"]) == ("/engines", "/timing")
    assert options["trt_profile_min_shapes"] == "input:1x480x640x3"
    assert options["trt_profile_opt_shapes"] == options["trt_profile_max_shapes"] == "input:52x480x640x3"
    assert {options[f"trt_{kind}_enable"] for kind in ("fp16", "bf16", "int8")} == {"False"}
    flags = {value for name, value in options.items() if name.endswith("_enable") or "_force_" in name}
    assert flags == {"True", "False"}, "onnxruntime takes these words and no numbers"
    assert plan.size == (480, 640)
    without = providers.tensorrt(100 * GIB, Path("/engines"), Path("/timing"), BUCKET, explicit=False)
    assert not any("profile" in name for name in options_of(without, Device.TENSORRT))


def test_the_plugin_keeps_what_it_compiled() -> None:
    (_, options), *behind = providers.tensorrt_rtx(Path("/cache")).providers
    assert options["nv_runtime_cache_path"] == "/cache" and behind == []
    assert "nv_runtime_cache_path" not in providers.tensorrt_rtx(None).providers[0][1]


@pytest.mark.parametrize("device", [Device.CUDA, Device.TENSORRT])
def test_the_names_are_those_of_the_provider(device: Device) -> None:
    """Every option of ours stands in the provider's library; an unknown one would make it refuse to start.

    The compiler may build short names into instructions, so those are looked up in pieces of eight.
    """
    import onnxruntime

    library = (Path(onnxruntime.__file__).parent / "capi" / FILES[device]).read_bytes()
    plan = providers.tensorrt(GIB, Path("/engines"), Path("/timing"), BUCKET)
    for name in options_of(plan, device):
        pieces = [name.encode()[start : start + 8] for start in range(0, len(name) - len(name) % 8, 8)]
        assert name.encode() in library or all(piece in library for piece in pieces), name


# -- the cache of engines ----------------------------------------------------------------------------------------------


@pytest.fixture
def parts(mosaic: Path) -> dict[str, str]:
    return {"onnxruntime": "1.31.1", "tensorrt": "101300", **parts_of(mosaic, H200, BUCKET)}


def test_the_key_changes_with_everything_an_engine_depends_on(parts: dict[str, str]) -> None:
    expected = {"onnxruntime", "tensorrt", "graph", "gpu", "capability", "driver", "profile", "options"}
    assert set(parts) == expected
    keys = {key_of({**parts, name: "another"}) for name in parts}
    assert len(keys) == len(parts) and key_of(parts) not in keys
    assert key_of(dict(reversed(parts.items()))) == key_of(parts)


def test_the_key_does_not_change_with_free_memory_or_the_place(mosaic: Path, parts: dict[str, str]) -> None:
    import dataclasses

    assert parts_of(mosaic, dataclasses.replace(H200, free=1), BUCKET)["options"] == parts["options"]
    assert "path" not in parts["options"]


def test_an_engine_counts_only_when_it_is_whole(tmp_path: Path, parts: dict[str, str]) -> None:
    with pytest.raises(RuntimeError), place(tmp_path, parts) as folder:
        (folder / "half.engine").write_bytes(b"half")
        raise RuntimeError
    assert [entry.name for entry in tmp_path.iterdir()] == ["timing"]
    with place(tmp_path, parts) as folder:
        assert folder.name.startswith(".darkroom-")
        (folder / "whole.engine").write_bytes(b"whole")
    with place(tmp_path, parts) as folder:
        assert folder.name == key_of(parts) and (folder / "whole.engine").exists()
    with pytest.raises(RuntimeError), place(tmp_path, parts) as folder:
        raise RuntimeError
    assert not folder.exists(), "one that does not do is built anew"


def test_engines_not_used_for_long_make_way(tmp_path: Path) -> None:
    import os

    for age in range(5):
        folder = tmp_path / f"{age:064}"
        folder.mkdir()
        os.utime(folder, (1e9 - age, 1e9 - age))
    (tmp_path / "timing").mkdir()
    prune(tmp_path, keep=2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"{age:064}" for age in range(2)] + ["timing"]
