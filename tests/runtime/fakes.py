"""A second engine: it computes truly, on the processor, and can be told to lie, to fail, or to be slow about it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.runtime import providers
from daemon.runtime.devices import PROVIDERS, Device, DeviceFault, EngineError, Gpu, NotUsable, OutOfMemory
from daemon.runtime.engine import Node, Outputs, Pixels, Source
from daemon.runtime.ort import OnnxRuntime
from daemon.runtime.providers import Plan
from export.anatomy import anatomy

H200 = Gpu("NVIDIA H200", 90, 141 << 30, 100 << 30, "580.65 (CUDA 13.0)")
CPU_PROVIDER = PROVIDERS[Device.CPU]


@dataclass
class FakeEngine:
    """A machine with a card. Everything works unless told otherwise; the devices are those that misbehave."""

    gpu: Gpu = H200
    missing: Mapping[Device, str] = field(default_factory=dict)  # not there at all, and why
    silent: set[Device] = field(default_factory=set)  # sessions quietly have the processor only
    strays: set[Device] = field(default_factory=set)  # the provider is there, pixels are computed elsewhere
    wrong: set[Device] = field(default_factory=set)  # computes something else
    coarse: set[Device] = field(default_factory=set)  # computes in TF32: numbers a bit off, levels right
    room: int = 1 << 60  # pixels a run has memory for on the card
    dead: bool = False  # every run on the card is a fault
    bad_size: tuple[int, int] = (0, 0)  # height and width for which only the run itself is a fault
    build_seconds: float = 0.0
    build_error: str = ""
    needs_profile: bool = False  # TensorRT refuses explicit profiles
    slower: bool = False  # TensorRT's runs take longer
    only: Path | None = None  # misbehave with this graph alone; the probe is no file
    opened: list[Plan] = field(default_factory=list)
    ran: list[tuple[Device, int]] = field(default_factory=list)
    building: threading.Event = field(default_factory=threading.Event)

    def require(self, device: Device) -> Gpu | None:
        if device in self.missing:
            raise NotUsable(device, self.missing[device], "`pip install it`")
        return None if device is Device.CPU else self.gpu

    def versions(self, device: Device) -> Mapping[str, str]:
        return {"onnxruntime": "1.31.1", "tensorrt": "101300"}

    def open(self, graph: Source, plan: Plan) -> FakeSession:
        self.opened.append(plan)
        if plan.device is Device.TENSORRT and isinstance(graph, Path):
            self._build(plan)
        return FakeSession(self, graph, plan)

    def _build(self, plan: Plan) -> None:
        options = dict(dict(plan.providers)[PROVIDERS[Device.TENSORRT]])
        if self.needs_profile and "trt_profile_min_shapes" in options:
            raise EngineError("User needs to provide all the dynamic shape inputs with associated profiles if they …")
        self.building.set()
        time.sleep(self.build_seconds)
        if self.build_error:
            raise EngineError(self.build_error)
        Path(options["trt_engine_cache_path"], "some.engine").write_bytes(b"engine")

    def devices_run(self) -> Counter[Device]:
        return Counter(device for device, _ in self.ran)


class FakeSession:
    def __init__(self, engine: FakeEngine, graph: Source, plan: Plan) -> None:
        self._engine, self._plan, self._graph = engine, plan, graph
        self._session = OnnxRuntime().open(graph, providers.cpu())
        self._anatomy = anatomy(graph)
        self._concerned = engine.only is None or graph == engine.only

    def _misbehaves(self, devices: set[Device]) -> bool:
        return self._concerned and self._plan.device in devices

    @property
    def providers(self) -> Sequence[str]:
        wanted = [name for name, _ in self._plan.providers]
        return [CPU_PROVIDER] if self._misbehaves(self._engine.silent) else wanted

    @property
    def nodes(self) -> Sequence[Node]:
        home = CPU_PROVIDER if self._misbehaves(self._engine.strays) else self._plan.provider
        pixels = [Node(home, "Conv", name) for name in self._anatomy.pixel_nodes]
        return pixels + [Node(CPU_PROVIDER, "Gather", name) for name in self._anatomy.shape_nodes]

    def buffer(self, shape: tuple[int, ...]) -> Pixels:
        return np.empty(shape, np.uint8)

    def run(self, batch: Pixels) -> Outputs:
        engine, device = self._engine, self._plan.device
        self._fail_if_told(batch)
        if engine.slower and device is Device.TENSORRT:
            time.sleep(0.05)
        engine.ran.append((device, len(batch)))
        return {name: self._spoilt(array) for name, array in self._session.run(batch).items()}

    def _fail_if_told(self, batch: Pixels) -> None:
        if self._plan.device is Device.CPU or not self._concerned:
            return
        if self._engine.dead or batch.shape[1:3] == self._engine.bad_size:
            raise DeviceFault("CUDA failure 700: an illegal memory access was encountered")
        if batch.shape[0] * batch.shape[1] * batch.shape[2] > self._engine.room:
            raise OutOfMemory("Failed to allocate memory for requested buffer of size 939524096")

    def _spoilt(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype == np.uint8 and self._misbehaves(self._engine.wrong):
            return np.asarray(array // 2)
        if array.dtype == np.float32 and self._misbehaves(self._engine.coarse):
            return np.asarray(array * np.float32(1 - 4.9e-4))
        return array
