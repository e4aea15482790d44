"""Compiled graphs, run. The only room of the daemon that knows onnxruntime."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from daemon.errors import DarkroomError, PermanentError

Pixels: TypeAlias = NDArray[np.uint8]

CPU = "CPUExecutionProvider"
CPU_BATCH_PIXELS = 1 << 20
"""A processor gains nothing from batches beyond its caches. One megapixel: 16 pictures of 256×256, or one large one."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a graph gave for a batch, and the device that it really ran on.

    `pictures` are uint8 H×W×3 results, or None where the chain only measures. `measures` are the graph's other outputs
    by name, float32 with one row a picture.
    """

    pictures: Sequence[Pixels] | None
    device: str
    measures: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


class Runtime:
    """Sessions by graph file, made when first used.

    `device` is `auto` or `cpu`. On the processor `threads` runs go side by side, each on one core: the small steps of
    a graph are too short to be shared out (100 futex calls a picture were measured when they were). Raises
    DarkroomError for a device that cannot be had: a named device is never replaced silently.
    """

    def __init__(self, device: str, threads: int) -> None:
        if device not in ("auto", "cpu"):
            raise DarkroomError(
                f"runtime.device: {device}: this version runs graphs on the CPU only; write `auto` or `cpu`"
            )
        self.device = "cpu"
        self.batch_pixels = CPU_BATCH_PIXELS
        self.concurrent_runs = threads
        self._sessions: dict[Path, Any] = {}
        self._lock = threading.Lock()

    def load(self, graph: Path) -> None:
        """Make the session of a graph ahead of its first picture. Raises DarkroomError if the file is no graph."""
        self._session(graph)

    def run(self, graph: Path, pictures: Sequence[Pixels]) -> Ran:
        """Run pictures of one shape, each uint8 H×W×3, through a graph.

        Raises PermanentError when the graph cannot run them.
        """
        batch = pictures[0][None] if len(pictures) == 1 else np.stack(pictures)
        session = self._session(graph)
        try:
            results = session.run(None, {"input": batch})
        except _RUNTIME_ERRORS as error:
            raise PermanentError(f"the graph could not run it ({str(error).splitlines()[0]})") from error
        measures = dict(zip((output.name for output in session.get_outputs()), results, strict=True))
        output = measures.pop("output", None)
        return Ran(None if output is None else list(output), self.device, measures)

    def _session(self, graph: Path) -> Any:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = _session(graph)
            return self._sessions[graph]


def _session(graph: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena only grows (onnxruntime issues 15983, 14474); with many shapes that is a leak.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=[CPU])
    except _RUNTIME_ERRORS as error:
        raise DarkroomError(f"{graph}: not a graph onnxruntime can load ({str(error).splitlines()[0]})") from error


# onnxruntime's own errors have no base in common but Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(
        error
        for error in vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
)
