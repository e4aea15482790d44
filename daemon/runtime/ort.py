"""ONNX Runtime itself, behind the few words of engine.py.

What only a card needs is imported when there is one: every start without would pay for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from daemon.runtime.devices import Device, EngineError, Gpu, first_line
from daemon.runtime.engine import Node, Outputs, Pixels, Source
from daemon.runtime.hardware import find_gpu
from daemon.runtime.providers import Plan

if TYPE_CHECKING:
    from daemon.runtime.cuda import BoundRunner, PinnedMemory

QUIET = 3  # errors only
SILENT = 4  # what fails on a card is raised, translated and told; ONNX Runtime need not write it as well


class OnnxRuntime:
    """The real engine. Loads nothing of NVIDIA's before a device that needs it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memory: PinnedMemory | None = None

    def require(self, device: Device) -> Gpu | None:
        """See Engine."""
        if device is Device.CPU:
            return None
        if device is Device.TENSORRT_RTX:
            from daemon.runtime import plugin

            plugin.require_package()
            gpu = find_gpu(device)
            plugin.require_capability(gpu)
            plugin.devices()
            return gpu
        gpu = find_gpu(device)
        from daemon.runtime.libraries import require_libraries

        require_libraries(device)
        return gpu

    def versions(self, device: Device) -> Mapping[str, str]:
        """See Engine."""
        known = {"onnxruntime": onnxruntime.__version__}
        if device is Device.TENSORRT:
            from daemon.runtime.libraries import tensorrt_version

            known["tensorrt"] = tensorrt_version()
        return known

    def open(self, graph: Source, plan: Plan) -> OnnxSession:
        """See Engine."""
        try:
            session = _session(graph, plan)
            return OnnxSession(session) if plan.device is Device.CPU else OnnxSession(session, plan, self._pinned())
        except _ERRORS as error:
            raise _told(error, on_card=plan.device is not Device.CPU) from error

    def _pinned(self) -> PinnedMemory:
        with self._lock:
            if self._memory is None:
                from daemon.runtime.cuda import pinned_memory
                from daemon.runtime.libraries import cuda_major

                self._memory = pinned_memory(cuda_major())
            return self._memory


class OnnxSession:
    """An onnxruntime session; on a card it is run with bound buffers."""

    def __init__(self, session: Any, plan: Plan | None = None, memory: PinnedMemory | None = None) -> None:
        self._session = session
        self._memory = memory
        self._names = [output.name for output in session.get_outputs()]
        # TensorRT's sessions see one size for good, and a plugin need not have an arena at all: then it is an error.
        shrinks = plan is not None and plan.device is Device.CUDA
        self._bound: BoundRunner | None = None
        if memory is not None:
            from daemon.runtime.cuda import BoundRunner

            self._bound = BoundRunner(session, memory, lambda shrink: _run_options(shrink and shrinks))

    @property
    def native(self) -> Any:
        """The onnxruntime session itself, for benchmarks."""
        return self._session

    @property
    def providers(self) -> Sequence[str]:
        """See Session."""
        return list(self._session.get_providers())

    @property
    def nodes(self) -> Sequence[Node]:
        """See Session."""
        if self._bound is None:
            return []
        parts = self._session.get_provider_graph_assignment_info()
        return [Node(part.ep_name, node.op_type, node.name) for part in parts for node in part.get_nodes()]

    def buffer(self, shape: tuple[int, ...]) -> Pixels:
        """See Session."""
        if self._memory is None:
            return np.empty(shape, np.uint8)
        return self._memory.take(int(np.prod(shape))).reshape(shape)

    def run(self, batch: Pixels) -> Outputs:
        """See Session."""
        try:
            if self._bound is not None:
                return self._bound.run(batch)
            return dict(zip(self._names, self._session.run(None, {"input": batch}), strict=True))
        except _ERRORS as error:
            raise _told(error, on_card=self._bound is not None) from error


def _told(error: Exception, *, on_card: bool) -> EngineError:
    if not on_card:
        return EngineError(first_line(error))
    from daemon.runtime.cuda import translated

    return translated(error)


def _session(graph: Source, plan: Plan) -> Any:
    options = onnxruntime.SessionOptions()
    # Runs go side by side, each on one core: the small steps of a graph are too short to be shared out (100 futex
    # calls a picture were measured when they were).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET if plan.device is Device.CPU else SILENT
    # The arena only grows (onnxruntime issues 15983, 14474); with many shapes that is a leak. Patterns are per shape.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    for key, value in plan.entries.items():
        options.add_session_config_entry(key, value)
    source = graph if isinstance(graph, bytes) else str(graph)
    if plan.size is not None:
        _fix_size(source, options, plan.size)
    if plan.device is Device.TENSORRT_RTX:
        from daemon.runtime import plugin

        ((_, wanted),) = plan.providers
        options.add_provider_for_devices(plugin.devices(), dict(wanted))
        return onnxruntime.InferenceSession(source, options, enable_fallback=0)
    # Without this, Python retries on the processor when a provider fails, with a line on standard output.
    return onnxruntime.InferenceSession(source, options, providers=list(plan.providers), enable_fallback=0)


def _fix_size(source: str | bytes, options: Any, size: tuple[int, int]) -> None:
    """Give height and width of the input a value. Graphs name their free sizes as the exporter likes, so ask."""
    with_names = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).get_inputs()[0].shape
    for name, value in zip(with_names[1:3], size, strict=True):
        options.add_free_dimension_override_by_name(name, value)


def _run_options(shrink: bool) -> Any:
    options = onnxruntime.RunOptions()
    options.log_severity_level = SILENT
    if shrink:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
    return options


# onnxruntime's own errors have no base in common but Exception.
_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(
        error
        for error in vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
)
