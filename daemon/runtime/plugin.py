"""TensorRT-RTX, which comes as a plugin: a package of its own, registered with ONNX Runtime before it can be asked for.

Built from the wheel onnxruntime-ep-nv-tensorrt-rtx-cu13 0.5.0 and ONNX Runtime's page on plugin providers.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from typing import Any

import onnxruntime

from daemon.pip import install
from daemon.runtime.devices import Device, Gpu, NotUsable

MODULE = "onnxruntime_ep_nv_tensorrt_rtx"
PACKAGE = "onnxruntime-ep-nv-tensorrt-rtx"
CAPABILITIES = (86, 89)
NEWEST = 120
"""Its library says: "Supported compute capabilities are 8.6, 8.9, and 12.0 or newer". Not among them: A100 (8.0),
H100 and H200 (9.0), for which TensorRT is the one to take."""

_lock = threading.Lock()
_registered: list[str] = []


def require_package(device: Device = Device.TENSORRT_RTX) -> None:
    """Raises NotUsable when the package is not installed. Costs a look at the file system."""
    if importlib.util.find_spec(MODULE) is None:
        raise NotUsable(device, "its package is not installed", install(PACKAGE))


def require_capability(gpu: Gpu) -> None:
    """Raises NotUsable for a card that the plugin refuses."""
    if gpu.capability not in CAPABILITIES and gpu.capability < NEWEST:
        raise NotUsable(
            Device.TENSORRT_RTX,
            f"it runs on GeForce and RTX cards of compute capability 8.6, 8.9 and 12.0 on, not on {gpu.label}",
            "write `device: tensorrt` or `device: cuda`",
        )


def devices() -> list[Any]:
    """The devices of the plugin, registered when first asked for. Raises NotUsable when there are none.

    A session without a device would run on the processor and say nothing, so an empty list is an error.
    """
    with _lock:
        if not _registered:
            _registered.append(_register())
        found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == _registered[0]]
    if not found:
        raise NotUsable(
            Device.TENSORRT_RTX, "the plugin finds no card that it supports", "see whether `nvidia-smi` finds the card"
        )
    return found[:1]  # "EP only supports selection for one device", it says


def _register() -> str:
    """Register the plugin for the life of the process: it must not go before the last session (plugin page)."""
    try:
        module = importlib.import_module(MODULE)  # loads the libraries that come with it
        name = str(module.get_ep_name())
        onnxruntime.register_execution_provider_library(name, module.get_library_path())
    except Exception as error:  # a foreign package raises what it likes; it becomes the cause
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NotUsable(
            Device.TENSORRT_RTX, f"its plugin cannot be loaded ({cause})", install(f"-U {PACKAGE}")
        ) from error
    return name
