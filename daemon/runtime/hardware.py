"""The graphics card, asked through NVIDIA's own libraries, which come with the driver. No package needed.

Costs nothing where there is no driver: `auto` asks here first, at every start.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from daemon.runtime.devices import Device, Gpu, NotUsable

DRIVER = "libcuda.so.1"
MANAGEMENT = "libnvidia-ml.so.1"
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_* of cuda.h

NO_DRIVER = f"there is no NVIDIA driver ({DRIVER} cannot be loaded)"
INSTALL_DRIVER = (
    "where there is a card, install it (Debian: `apt install nvidia-driver`, Ubuntu: `ubuntu-drivers install`), "
    "or start the container with `--gpus all`"
)


class _Memory(ctypes.Structure):
    """nvmlMemory_t of nvml.h; bytes."""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


def find_gpu(device: Device) -> Gpu:
    """The first card that CUDA sees. Raises NotUsable, naming `device`, when there is none that works."""
    cuda = _driver(device)
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, total = ctypes.create_string_buffer(256), ctypes.c_size_t()
    check = _checker(cuda, device)
    check(cuda.cuInit(0))
    check(cuda.cuDeviceGet(ctypes.byref(handle), 0))
    check(cuda.cuDeviceGetName(name, len(name), handle))
    check(cuda.cuDeviceGetAttribute(ctypes.byref(major), CAPABILITY_MAJOR, handle))
    check(cuda.cuDeviceGetAttribute(ctypes.byref(minor), CAPABILITY_MINOR, handle))
    check(cuda.cuDeviceTotalMem_v2(ctypes.byref(total), handle))
    free, driver = _managed(_bus(cuda, handle))
    return Gpu(
        name.value.decode(errors="replace"),
        major.value * 10 + minor.value,
        total.value,
        # Where nobody can be asked other programs may hold the rest; for a part of a card (MIG) the whole card answers.
        total.value // 2 if free is None else min(free, total.value),
        f"{driver} (CUDA {_cuda_version(cuda)})",
    )


def _driver(device: Device) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(DRIVER)
    except OSError as error:
        raise NotUsable(device, NO_DRIVER, INSTALL_DRIVER) from error


def _checker(cuda: ctypes.CDLL, device: Device) -> Callable[[int], None]:
    def check(status: int) -> None:
        if status:
            text = ctypes.c_char_p()
            cuda.cuGetErrorName(status, ctypes.byref(text))
            word = text.value.decode() if text.value else str(status)
            remedy = "see whether `nvidia-smi` finds a card; after an update of the driver, start the machine anew"
            raise NotUsable(device, f"the NVIDIA driver finds no card that works ({word})", remedy)

    return check


def _bus(cuda: ctypes.CDLL, handle: ctypes.c_int) -> bytes:
    """The card's place on the bus: numbers of CUDA and of the management library need not agree."""
    text = ctypes.create_string_buffer(32)
    return text.value if cuda.cuDeviceGetPCIBusId(text, len(text), handle) == 0 else b""


def _cuda_version(cuda: ctypes.CDLL) -> str:
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _managed(bus: bytes) -> tuple[int | None, str]:
    """Free memory of the card in bytes, and the driver's version; None and "?" where the library is missing."""
    try:
        nvml = ctypes.CDLL(MANAGEMENT)
    except OSError:
        return None, "?"
    nvml.nvmlInit_v2()
    try:
        version = ctypes.create_string_buffer(80)
        nvml.nvmlSystemGetDriverVersion(version, len(version))
        card, memory = ctypes.c_void_p(), _Memory()
        failed = nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(card))
        failed = failed or nvml.nvmlDeviceGetMemoryInfo(card, ctypes.byref(memory))
        return None if failed else int(memory.free), version.value.decode(errors="replace") or "?"
    finally:
        nvml.nvmlShutdown()
