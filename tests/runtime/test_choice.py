"""Which device is taken: a named one or an error, and with `auto` the best that proves itself."""

from __future__ import annotations

import sys
from pathlib import Path

import onnxruntime
import pytest

from daemon.runtime import CPU_BATCH_PIXELS, Runtime, providers
from daemon.runtime.choice import choose
from daemon.runtime.devices import PROVIDERS, Device, NotUsable, Unproven
from daemon.runtime.ort import OnnxRuntime
from daemon.runtime.proof import Expectation, prove
from daemon.runtime.providers import Bucket
from daemon.runtime.tensorrt import open_bucket
from export.probe import probe_golden, probe_graph
from tests.runtime.fakes import H200, FakeEngine
from tests.runtime.test_outside import works

CARDS = [Device.CUDA, Device.TENSORRT, Device.TENSORRT_RTX]
NO_DRIVER = dict.fromkeys(CARDS, "there is no NVIDIA driver")


@pytest.mark.parametrize("device", CARDS)
def test_a_named_device_that_proves_itself_is_taken(device: Device, tmp_path: Path) -> None:
    choice = choose(device, FakeEngine(), tmp_path)
    assert (choice.device, choice.gpu, choice.line) == (device, H200, "")


@pytest.mark.parametrize("device", CARDS)
def test_a_provider_that_falls_back_silently_is_caught(device: Device) -> None:
    """The provider is listed and its session opens, but the session has nothing but the processor."""
    with pytest.raises(NotUsable, match="silently fell back to CPUExecutionProvider") as caught:
        choose(device, FakeEngine(silent={device}))
    assert caught.value.device is device and "darkroom doctor" in str(caught.value)


@pytest.mark.parametrize("device", CARDS)
def test_pixels_left_to_the_processor_are_caught(device: Device) -> None:
    """The provider is in the session, and does nothing: the commonest fault after the one above."""
    with pytest.raises(NotUsable, match=r"10 operators on pixels were left to the processor \(Conv ×10\)"):
        choose(device, FakeEngine(strays={device}))


@pytest.mark.parametrize("device", CARDS)
def test_a_wrong_picture_is_caught(device: Device) -> None:
    with pytest.raises(NotUsable, match=r"computes something else: output is up to \d+ of 255 levels off"):
        choose(device, FakeEngine(wrong={device}))


@pytest.mark.parametrize("device", CARDS)
def test_arithmetic_of_ten_bits_is_caught(device: Device) -> None:
    """TF32 leaves every level of the probe as it is; what it measures is 5e-4 off."""
    with pytest.raises(NotUsable, match=r"mean is up to 0\.00049 times itself off"):
        choose(device, FakeEngine(coarse={device}))


def test_a_missing_library_is_told_with_its_remedy() -> None:
    with pytest.raises(NotUsable, match=r"^cuda: libcublasLt.so.13 cannot be loaded; `pip install it`$"):
        choose("cuda", FakeEngine(missing={Device.CUDA: "libcublasLt.so.13 cannot be loaded"}))


def test_tensorrt_needs_cuda_behind_it() -> None:
    with pytest.raises(NotUsable, match=r"^cuda: it does not prove itself"):
        choose("tensorrt", FakeEngine(silent={Device.CUDA}))


@pytest.mark.parametrize("fault", ["silent", "strays", "wrong", "coarse"])
def test_auto_takes_the_processor_when_a_card_cannot_be_believed(fault: str) -> None:
    choice = choose("auto", FakeEngine(**{fault: {Device.CUDA, Device.TENSORRT_RTX}}))  # type: ignore[arg-type]
    assert choice.device is Device.CPU and choice.gpu is None
    assert choice.line.startswith("device: auto takes cpu; not cuda, tensorrt")
    assert "it does not prove itself: " in choice.line


def test_auto_without_a_driver_says_why_in_one_line() -> None:
    choice = choose("auto", FakeEngine(missing={**NO_DRIVER, Device.TENSORRT_RTX: "its package is not installed"}))
    assert choice.line == (
        "device: auto takes cpu; not cuda, tensorrt: there is no NVIDIA driver; "
        "not tensorrt-rtx: its package is not installed"
    )


def test_auto_prefers_cuda_and_lets_tensorrt_join() -> None:
    choice = choose("auto", FakeEngine())
    assert (choice.device, choice.tensorrt) == (Device.CUDA, True)
    assert choice.line == "device: auto takes cuda, tensorrt joins where its engines are faster"
    without = choose("auto", FakeEngine(missing={Device.TENSORRT: "TensorRT is missing"}))
    assert (without.device, without.tensorrt) == (Device.CUDA, False)
    assert without.line == "device: auto takes cuda; not tensorrt: TensorRT is missing"


def test_auto_takes_the_plugin_where_there_is_no_cuda() -> None:
    choice = choose("auto", FakeEngine(missing={Device.CUDA: "this build has no such provider"}))
    assert choice.device is Device.TENSORRT_RTX and "not cuda, tensorrt: this build" in choice.line


def test_the_real_engine_without_a_card_costs_auto_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start to ready must stay as fast as it was: neither onnx nor any library of NVIDIA's is loaded."""
    from daemon.runtime import choice, hardware, ort

    def no_card(device: Device) -> None:
        raise NotUsable(device, hardware.NO_DRIVER, "install it")

    monkeypatch.setattr(ort, "find_gpu", no_card)
    monkeypatch.setitem(sys.modules, "daemon.runtime.libraries", None)  # to import it is an error
    monkeypatch.setattr(choice, "run_probe", lambda *given: pytest.fail("the probe was run"))
    runtime = Runtime("auto", 2)
    assert (runtime.device, runtime.concurrent_runs, runtime.batch_pixels) == ("cpu", 2, CPU_BATCH_PIXELS)
    assert hardware.NO_DRIVER in runtime.choice


def test_a_card_gets_large_batches_one_at_a_time_within_the_memory() -> None:
    runtime = Runtime("cuda", 8, memory=1 << 30, engine=FakeEngine())
    assert runtime.concurrent_runs == 1 and runtime.label == "cuda (NVIDIA H200)"
    assert runtime.batch_pixels == (1 << 30) // 36
    assert Runtime("cuda", 8, memory=1 << 40, engine=FakeEngine()).batch_pixels == 64_000_000


def test_the_real_engine_falls_back_silently_and_is_caught() -> None:
    """No fake: this ONNX Runtime lists CUDA, opens the session without a word, and would compute on the processor."""
    if works("cuda"):
        pytest.skip("cuda works on this machine")
    onnxruntime.set_default_logger_severity(4)
    assert PROVIDERS[Device.CUDA] in onnxruntime.get_available_providers()
    plan = providers.cuda(1 << 30)
    session = OnnxRuntime().open(probe_graph(), plan)
    with pytest.raises(
        Unproven, match="cuda was asked for, but the session silently fell back to CPUExecutionProvider"
    ):
        prove(session, plan, Expectation())


def test_the_plugin_keeps_what_it_compiles_graph_by_graph(tmp_path: Path, mosaic: Path, pooling: Path) -> None:
    engine = FakeEngine()
    runtime = Runtime("tensorrt-rtx", 1, cache=tmp_path, engine=engine)
    for graph in (mosaic, pooling):
        assert runtime.load(graph) == "" and runtime.device_of(graph) == "tensorrt-rtx"
    kept = [dict(plan.providers[0][1])["nv_runtime_cache_path"] for plan in engine.opened[-2:]]
    assert len(set(kept)) == 2 and all(Path(folder).parent == tmp_path for folder in kept)


def test_the_probe_is_what_it_says_on_the_processor(tmp_path: Path) -> None:
    """NumPy in float64 and ONNX Runtime agree about it, so that a device that does not is wrong."""
    session, plan = open_bucket(FakeEngine(), probe_graph(), H200, Bucket(24, 40, 2), tmp_path)
    prove(session, plan, Expectation(None, probe_golden()))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, pooling: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    lines, engine = list[str](), FakeEngine()
    runtime = Runtime("tensorrt-rtx", 1, cache=tmp_path / "cache", tell=lines.append, engine=engine)
    assert runtime.load(pooling) == "" and runtime.device_of(pooling) == "tensorrt-rtx"
    (line,) = lines
    assert line.startswith("tensorrt-rtx: keeps nothing of what it compiles: ") and "move it away" in line
