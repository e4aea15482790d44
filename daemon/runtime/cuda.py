"""Runs on a card: memory the card can read directly, inputs and outputs bound to it, its errors told apart.

Bytes go both ways, a quarter of what float32 would move over the bus.
"""

from __future__ import annotations

import ctypes
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from daemon.runtime.devices import DeviceFault, EngineError, OutOfMemory, first_line
from daemon.runtime.engine import Outputs, Pixels

PORTABLE = 1  # cudaHostAllocPortable: pinned for every context
KEEP = 4
"""Pinned buffers kept for the next batch. To pin memory takes milliseconds: about as long as to copy it."""
SHAPES = 512  # shapes whose outputs' sizes are remembered

_CORE = re.compile(r"(?:CUDA|CUBLAS|CUDNN) failure [^;\n]+|Failed to allocate memory[^;\n]+")
"""What matters of a message; source files and signatures stand around it."""
_NO_MEMORY = ("failed to allocate memory", "out of memory", "cudaerrormemoryallocation", "alloc_failed")
_FAULT = ("cuda failure", "cuda error", "cudaerror", "cublas failure", "cublas_status", "cudnn failure", "cudnn_status")


def translated(error: Exception) -> EngineError:
    """An error of ONNX Runtime on a card as what it means: too little memory, the card's fault, or the graph's.

    They differ in their words alone: all are of one class (onnxruntime #16307).
    """
    text, found = str(error).lower(), _CORE.search(str(error))
    told = found.group().strip() if found else first_line(error)
    if any(sign in text for sign in _NO_MEMORY):
        return OutOfMemory(told)
    return DeviceFault(told) if any(sign in text for sign in _FAULT) else EngineError(told)


class _Slab:
    """Memory at an address, as NumPy understands it. What looks into it keeps it alive."""

    def __init__(self, address: int, size: int) -> None:
        self.address, self.size = address, size
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": (address, False)}


class PinnedMemory:
    """Buffers that the card reads and writes without help of the processor, used again when nobody looks into them.

    `allocate(bytes)` gives an address, or 0; `free(address)` takes it back. Where none is to be had, ordinary memory
    does: slower, and nothing else.
    """

    def __init__(self, allocate: Callable[[int], int], free: Callable[[int], None]) -> None:
        self._allocate, self._free = allocate, free
        self._lock = threading.Lock()
        self._idle: list[tuple[int, int]] = []
        self._returned: deque[tuple[int, int]] = deque()

    def take(self, size: int) -> Pixels:
        """A buffer of `size` bytes. It comes back by itself when the last array that looks into it is gone."""
        if (found := self._reuse(size)) is None:
            if not (address := self._allocate(size)):
                return np.empty(size, np.uint8)
            found = address, size
        slab = _Slab(*found)
        weakref.finalize(slab, self._give_back, *found).atexit = False  # the process's end frees everything
        return np.asarray(slab)[:size]

    def _reuse(self, size: int) -> tuple[int, int] | None:
        """The smallest idle buffer that is large enough and not so large that another would miss it."""
        surplus = list[tuple[int, int]]()
        with self._lock:
            while self._returned:
                self._idle.append(self._returned.popleft())
            fitting = [slab for slab in self._idle if size <= slab[1] <= 4 * size]
            best = min(fitting, key=lambda slab: slab[1]) if fitting else None
            if best is not None:
                self._idle.remove(best)
            while len(self._idle) > KEEP:
                surplus.append(self._idle.pop(0))
        for address, _ in surplus:
            self._free(address)
        return best

    def _give_back(self, address: int, size: int) -> None:
        """For finalizers, which may run anywhere, in `_reuse` too: it takes no lock and calls no driver."""
        self._returned.append((address, size))


def pinned_memory(major: str) -> PinnedMemory:
    """Pinned memory from the CUDA runtime library of this major version, which the provider has loaded already."""
    try:
        library = ctypes.CDLL(f"libcudart.so.{major}")
    except OSError:
        return PinnedMemory(lambda size: 0, lambda address: None)

    def allocate(size: int) -> int:
        address = ctypes.c_void_p()
        failed = library.cudaHostAlloc(ctypes.byref(address), ctypes.c_size_t(size), ctypes.c_uint(PORTABLE))
        return 0 if failed else address.value or 0

    return PinnedMemory(allocate, lambda address: library.cudaFreeHost(ctypes.c_void_p(address)))


class BoundRunner:
    """Runs an onnxruntime session with inputs and outputs bound to buffers. Each run has a binding of its own.

    An output's shape is not known before the first batch of a shape has run. That one lets ONNX Runtime allocate;
    the others have their outputs written into pinned memory.
    """

    def __init__(self, session: Any, memory: PinnedMemory, run_options: Callable[[bool], Any]) -> None:
        """`run_options(shrink)` makes the options of one run; with `shrink`, memory is given back at its end."""
        self._session = session
        self._names = [output.name for output in session.get_outputs()]
        self._memory = memory
        self._run_options = run_options
        self._sizes: dict[tuple[int, ...], list[tuple[np.dtype[Any], tuple[int, ...]]]] = {}
        self._last: tuple[int, ...] = ()

    def run(self, batch: Pixels) -> Outputs:
        """The outputs by name. Raises what onnxruntime raises."""
        size = batch.shape[1:]
        # The arena keeps what the largest batch of every shape took. Given back when the shape changes, and only then:
        # it costs an allocation per buffer at the next run (onnxruntime #12748).
        shrink, self._last = size != self._last, size
        binding = self._session.io_binding()
        binding.bind_cpu_input("input", batch)
        outputs = self._bind(binding, size, len(batch))
        self._session.run_with_iobinding(binding, self._run_options(shrink))
        if outputs is None:
            outputs = binding.copy_outputs_to_cpu()
            self._learn(size, outputs)
        return dict(zip(self._names, outputs, strict=True))

    def _bind(self, binding: Any, size: tuple[int, ...], count: int) -> Sequence[Any] | None:
        if (sizes := self._sizes.get(size)) is None:
            for name in self._names:
                binding.bind_output(name, "cpu")
            return None
        outputs = []
        for name, (kind, below) in zip(self._names, sizes, strict=True):
            shape = (count, *below)
            array = self._memory.take(int(np.prod(shape)) * kind.itemsize).view(kind).reshape(shape)
            binding.bind_output(name, "cpu", 0, kind, shape, array.ctypes.data)
            outputs.append(array)
        return outputs

    def _learn(self, size: tuple[int, ...], outputs: Sequence[Any]) -> None:
        if len(self._sizes) >= SHAPES:
            self._sizes.clear()
        self._sizes[size] = [(output.dtype, output.shape[1:]) for output in outputs]
