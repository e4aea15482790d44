"""What is missing, and the command that brings it: from what the loader says to a line a user can act on."""

from __future__ import annotations

import dataclasses

import onnxruntime
import pytest

from daemon.runtime import hardware, libraries, plugin
from daemon.runtime.devices import Device, NotUsable
from daemon.runtime.libraries import _missing
from daemon.runtime.ort import OnnxRuntime
from tests.runtime.fakes import H200


@pytest.mark.parametrize(
    ("library", "cause", "remedy"),
    [
        ("libcuda.so.1", "there is no NVIDIA driver (libcuda.so.1 cannot be loaded)", "nvidia-driver"),
        ("libcublasLt.so.13", "CUDA's libraries are missing (libcublasLt.so.13", "onnxruntime-gpu[cuda,cudnn]=="),
        ("libcudnn.so.9", "CUDA's libraries are missing (libcudnn.so.9", "onnxruntime-gpu[cuda,cudnn]=="),
        ("libnvrtc.so.13", "CUDA's libraries are missing (libnvrtc.so.13", "onnxruntime-gpu[cuda,cudnn]=="),
        ("libnvinfer.so.10", "TensorRT is missing (libnvinfer.so.10", 'pip install "tensorrt-cu13>=10.13,<11"'),
        ("libnvonnxparser.so.10", "TensorRT is missing (libnvonnxparser.so.10", "tensorrt-cu13"),
    ],
)
def test_a_library_leads_to_its_package(library: str, cause: str, remedy: str) -> None:
    error = _missing(Device.TENSORRT, f"{library}: cannot open shared object file: No such file or directory")
    assert error.cause.startswith(cause) and remedy in error.remedy
    assert str(error) == f"tensorrt: {error.cause}; {error.remedy}" and "\n" not in str(error)


def test_a_provider_whose_own_file_is_gone() -> None:
    error = _missing(Device.CUDA, "/a/libonnxruntime_providers_cuda.so: cannot open shared object file")
    assert "--force-reinstall onnxruntime-gpu==" in error.remedy


def test_the_build_without_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package `onnxruntime` and the package `onnxruntime-gpu` are the same module: one must go."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(libraries, "version", lambda name: "1.31.1")
    with pytest.raises(
        NotUsable, match=r"has no such provider; `\S+ -m pip uninstall -y onnxruntime && \S+ -m pip install"
    ):
        libraries.require_libraries(Device.CUDA)


def test_nothing_is_printed_while_libraries_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime prints what it does not find; a daemon's output is its own."""
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcublasLt.so.13"))
    libraries.preload(Device.CUDA)
    said = capsys.readouterr()
    assert said.out == "" and said.err == ""


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "DRIVER", "libno-such-driver.so.1")
    with pytest.raises(NotUsable, match=r"^cuda: there is no NVIDIA driver .*--gpus all"):
        OnnxRuntime().require(Device.CUDA)


def test_the_plugin_wants_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "MODULE", "no_such_package")
    with pytest.raises(
        NotUsable, match=r"its package is not installed; `\S+ -m pip install onnxruntime-ep-nv-tensorrt-rtx`"
    ):
        OnnxRuntime().require(Device.TENSORRT_RTX)


@pytest.mark.parametrize(
    ("capability", "works"),
    [(75, False), (80, False), (86, True), (89, True), (90, False), (100, False), (120, True), (121, True)],
)
def test_the_plugin_runs_on_some_cards_only(capability: int, works: bool) -> None:
    """H100 and H200 have 9.0: the plugin's own library refuses them."""
    card = dataclasses.replace(H200, capability=capability)
    if works:
        plugin.require_capability(card)
        return
    with pytest.raises(NotUsable, match=r"capability 8.6, 8.9 and 12.0 on, not on .*; write `device: tensorrt`"):
        plugin.require_capability(card)


def test_a_plugin_without_a_device_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session with no device would run on the processor, and say nothing."""
    monkeypatch.setattr(plugin, "_registered", ["NvTensorRTRTXExecutionProvider"])
    with pytest.raises(NotUsable, match="finds no card that it supports"):
        plugin.devices()


def test_a_plugin_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def get_ep_name() -> str:
            return "NvTensorRTRTXExecutionProvider"

        @staticmethod
        def get_library_path() -> str:
            return "/no/such/library.so"

    monkeypatch.setattr("importlib.import_module", lambda name: Module)
    with pytest.raises(NotUsable, match=r"its plugin cannot be loaded \(.*/no/such/library.so"):
        plugin.devices()
