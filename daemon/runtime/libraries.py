"""What NVIDIA's providers need: which library is missing, and the command that brings it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnxruntime

from daemon.pip import install, pip
from daemon.runtime.devices import PROVIDERS, Device, NotUsable
from daemon.runtime.hardware import DRIVER, INSTALL_DRIVER, NO_DRIVER

PACKAGE = "onnxruntime-gpu"
FILES = {Device.CUDA: "libonnxruntime_providers_cuda.so", Device.TENSORRT: "libonnxruntime_providers_tensorrt.so"}
TENSORRT_MAJOR = 10
"""The wheel of ONNX Runtime 1.31 is linked with libnvinfer.so.10; a plain `pip install tensorrt` brings 11 or newer,
which it cannot load."""
TENSORRT = tuple(f"{name}.so.{TENSORRT_MAJOR}" for name in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser"))


def cuda_major() -> str:
    """The major version of CUDA that this ONNX Runtime was built with; "" for a build without."""
    return str(getattr(onnxruntime, "cuda_version", "")).split(".")[0]


def require_libraries(device: Device) -> None:
    """The provider's library can be loaded. Raises NotUsable."""
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise NotUsable(device, "this build of ONNX Runtime has no such provider", _install_gpu_build())
    preload(device)
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / FILES[device]))
    except OSError as error:
        raise _missing(device, str(error)) from error


def preload(device: Device) -> None:
    """Load NVIDIA's libraries from their pip packages, where the loader would not look.

    TF32 is turned off before any of them is loaded: TensorRT's provider has no option for it (onnxruntime #26029),
    and the first session settles it for the process.
    """
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    onnxruntime.set_default_logger_severity(4)  # what fails here is told by us, in one line
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        onnxruntime.preload_dlls()
    if device is Device.TENSORRT and (found := importlib.util.find_spec("tensorrt_libs")) and found.origin:
        for name in TENSORRT:
            with contextlib.suppress(OSError):  # told by whoever needs it
                ctypes.CDLL(str(Path(found.origin).parent / name), ctypes.RTLD_GLOBAL)


def tensorrt_version() -> str:
    """The version of the loaded TensorRT, such as 101300; "?" when it does not say."""
    try:
        return str(ctypes.CDLL(TENSORRT[0]).getInferLibVersion())
    except (OSError, AttributeError):
        return "?"


def _missing(device: Device, error: str) -> NotUsable:
    """The fault behind what the loader said: `libX.so.N: cannot open shared object file: …`."""
    library = error.split(":")[0]
    if library.startswith(("libcuda.so", "libnvidia-")):
        return NotUsable(device, NO_DRIVER.replace(DRIVER, library), INSTALL_DRIVER)
    if library.startswith("libnv") and not library.startswith("libnvrtc"):
        return NotUsable(device, f"TensorRT is missing ({library} cannot be loaded)", _install_tensorrt())
    if library.startswith("lib") and library.partition(".so")[0] not in FILES.values():
        return NotUsable(device, f"CUDA's libraries are missing ({library} cannot be loaded)", _install_cuda())
    return NotUsable(device, f"its library cannot be loaded ({error})", _install_gpu_build())


def _install_cuda() -> str:
    return install(f'"{PACKAGE}[cuda,cudnn]=={onnxruntime.__version__}"')


def _install_tensorrt() -> str:
    return install(f'"tensorrt-cu{cuda_major() or 13}>=10.13,<{TENSORRT_MAJOR + 1}"')


def _install_gpu_build() -> str:
    """The packages of ONNX Runtime all are `import onnxruntime`: the wrong one must go first."""
    command = pip(f"install --force-reinstall {PACKAGE}=={onnxruntime.__version__}")
    with contextlib.suppress(PackageNotFoundError):
        version("onnxruntime")
        command = f"{pip('uninstall -y onnxruntime')} && {command}"
    return f"`{command}`"
