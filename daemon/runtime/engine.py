"""What the runtime needs of ONNX Runtime, and no more. ort.py is the real one; tests have a second, which lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.runtime.devices import Device, Gpu
from daemon.runtime.providers import Plan

Pixels: TypeAlias = NDArray[np.uint8]
Outputs: TypeAlias = Mapping[str, NDArray[Any]]
Source: TypeAlias = Path | bytes


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph, and the provider that it was given to."""

    provider: str
    kind: str
    name: str


class Session(Protocol):
    """A graph opened for one device. Several threads may run it at once."""

    @property
    def providers(self) -> Sequence[str]:
        """The providers that the session really has, the preferred one first."""

    @property
    def nodes(self) -> Sequence[Node]:
        """Where each node went; empty where it was not recorded."""

    def buffer(self, shape: tuple[int, ...]) -> Pixels:
        """Memory to gather a batch in, of the kind that the device reads fastest."""

    def run(self, batch: Pixels) -> Outputs:
        """The outputs by name. Raises EngineError, OutOfMemory or DeviceFault."""


class Engine(Protocol):
    """Opens graphs on devices."""

    def require(self, device: Device) -> Gpu | None:
        """What a device needs is there: driver, libraries, packages. The card, if it is one. Raises NotUsable."""

    def versions(self, device: Device) -> Mapping[str, str]:
        """The versions that results and engines of a device depend on."""

    def open(self, graph: Source, plan: Plan) -> Session:
        """Open a graph, a file or its bytes. Raises EngineError, OutOfMemory or DeviceFault."""
