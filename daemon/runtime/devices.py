"""The devices graphs can run on, and the errors that concern them. No onnxruntime here."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.errors import DarkroomError


class Device(enum.StrEnum):
    """What can compute, by its name in config.yaml and in every job's record."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


AUTO = "auto"

PROVIDERS: Mapping[Device, str] = {
    Device.CPU: "CPUExecutionProvider",
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
    Device.TENSORRT_RTX: "NvTensorRTRTXExecutionProvider",
}
"""ONNX Runtime's names of them."""


class NotUsable(DarkroomError):
    """A device that cannot be used: `cause` in words, and `remedy`, a command wherever one mends it."""

    kind = "device"

    def __init__(self, device: Device, cause: str, remedy: str) -> None:
        super().__init__(f"{device}: {cause}; {remedy}")
        self.device, self.cause, self.remedy = device, cause, remedy


class Unproven(DarkroomError):
    """A session that is not what was asked for; the text says what it is instead. Trying again gives the same."""

    kind = "device"


class EngineError(Exception):
    """A graph that could not be loaded or run; one line."""


class OutOfMemory(EngineError):
    """The device has no memory for this many pictures at once."""


class DeviceFault(EngineError):
    """The device reported a fault of its own: after some of these nothing runs on it any more."""


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@dataclass(frozen=True, slots=True)
class Gpu:
    """The graphics card in use. `memory` and `free` in bytes; `capability` such as 90 for 9.0; versions as text."""

    name: str
    capability: int
    memory: int
    free: int
    driver: str

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.name}, compute capability {self.capability / 10:.1f}, {self.memory / 2**30:.0f} GiB"
