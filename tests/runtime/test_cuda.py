"""Bound runs and pinned memory, as far as a machine without a card can show: the mechanism, on the processor."""

from __future__ import annotations

import ctypes
import gc
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from daemon.runtime import Runtime
from daemon.runtime.cuda import KEEP, BoundRunner, PinnedMemory, translated
from daemon.runtime.devices import DeviceFault, EngineError, OutOfMemory
from export.golden import pattern


class Pins:
    """Stands for the card's driver: ordinary memory, counted."""

    def __init__(self) -> None:
        self.held: dict[int, object] = {}
        self.allocated = 0

    def allocate(self, size: int) -> int:
        block = (ctypes.c_uint8 * size)()
        self.held[ctypes.addressof(block)] = block
        self.allocated += 1
        return ctypes.addressof(block)

    def free(self, address: int) -> None:
        del self.held[address]


@pytest.fixture
def pins() -> Pins:
    return Pins()


def memory(pins: Pins) -> PinnedMemory:
    return PinnedMemory(pins.allocate, pins.free)


def test_a_buffer_comes_back_when_nobody_looks_into_it(pins: Pins) -> None:
    pinned = memory(pins)
    buffer = pinned.take(1000)
    view = buffer.reshape(10, 100)[3]
    view[:] = 7
    del buffer
    gc.collect()
    other = pinned.take(1000)
    assert pins.allocated == 2, "a picture cut out of a result keeps the result's memory"
    del view
    gc.collect()
    again = pinned.take(500)
    assert pins.allocated == 2 and again.size == 500 and other.size == 1000


def test_a_small_batch_does_not_hold_a_large_buffer(pins: Pins) -> None:
    pinned = memory(pins)
    pinned.take(100_000)
    gc.collect()
    pinned.take(10)
    assert pins.allocated == 2


def test_idle_buffers_are_bounded(pins: Pins) -> None:
    pinned = memory(pins)
    buffers = [pinned.take(1000) for _ in range(KEEP + 3)]
    assert len(pins.held) == len(buffers)
    buffers.clear()
    gc.collect()
    assert pinned.take(1000).size == 1000
    assert len(pins.held) == KEEP + 1, "kept, and the one taken"


def test_a_buffer_that_comes_back_amidst_a_search(pins: Pins) -> None:
    """The garbage collector runs where it likes: once within the lock, and it waited for itself for ever."""
    pinned = memory(pins)

    class Collected(int):
        """A size whose comparison drops a buffer, as a collection would."""

        def __le__(self, other: object) -> bool:
            held.clear()
            return True

    held = [pinned.take(1000)]
    pinned.take(1000)
    taken = threading.Thread(target=pinned.take, args=(Collected(1000),), daemon=True)
    taken.start()
    taken.join(5)
    assert not taken.is_alive() and held == []


def test_ordinary_memory_does_where_none_can_be_pinned() -> None:
    buffer = PinnedMemory(lambda size: 0, lambda address: pytest.fail("nothing to free")).take(100)
    assert buffer.shape == (100,) and buffer.dtype == np.uint8


def test_bound_runs_give_what_unbound_ones_do(pins: Pins, pooling: Path) -> None:
    """The first batch of a size teaches the sizes of its outputs; the others are written where they are wanted."""
    session = onnxruntime.InferenceSession(str(pooling), providers=["CPUExecutionProvider"])
    asked = list[bool]()

    def options(shrink: bool) -> onnxruntime.RunOptions:
        asked.append(shrink)
        return onnxruntime.RunOptions()

    runner = BoundRunner(session, memory(pins), options)
    for shape in ((2, 40, 56), (3, 40, 56), (3, 40, 56), (1, 33, 57), (5, 33, 57)):
        batch = pattern(shape)
        (expected,) = session.run(None, {"input": batch})
        given = runner.run(batch)
        assert list(given) == ["output"] and np.array_equal(given["output"], expected)
        del given
    assert pins.allocated == 2, "two sizes were known when they came again; the third run used the first's buffer"
    assert asked == [True, False, False, True, False], "memory is given back when the size changes"


def test_results_are_not_overwritten_by_the_next_run(pins: Pins, pooling: Path) -> None:
    session = onnxruntime.InferenceSession(str(pooling), providers=["CPUExecutionProvider"])
    runner = BoundRunner(session, memory(pins), lambda shrink: onnxruntime.RunOptions())
    runner.run(pattern((1, 40, 56)))
    first = list(runner.run(pattern((2, 40, 56)))["output"])
    kept = [picture.copy() for picture in first]
    runner.run(255 - pattern((2, 40, 56)))
    assert all(np.array_equal(one, other) for one, other in zip(first, kept, strict=True))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running ReduceSum node. "
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 939524096",
            OutOfMemory,
        ),
        ("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ; hostname=a", OutOfMemory),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", OutOfMemory),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", DeviceFault),
        ("CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED", DeviceFault),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: input", EngineError),
    ],
)
def test_errors_are_told_apart_by_their_words(text: str, kind: type[Exception]) -> None:
    error = translated(RuntimeError(text + "\nmore\nlines"))
    assert type(error) is kind and "\n" not in str(error)


def test_what_matters_of_an_error_is_told() -> None:
    text = (
        "/onnxruntime_src/core/providers/cuda/cuda_execution_provider_info.cc:63 FromProviderOptions() "
        '[ONNXRuntimeError] : 1 : FAIL : Failed to parse provider option "device_id": CUDA failure 36: API call is not '
        "supported in the installed CUDA driver ; GPU=-1 ; hostname=a ; file=b ; expr=cudaGetDeviceCount(&num_devices);"
    )
    told = "CUDA failure 36: API call is not supported in the installed CUDA driver"
    assert str(translated(RuntimeError(text))) == told


def test_the_processor_has_no_pinned_memory(mosaic: Path) -> None:
    runtime = Runtime("cpu", 1)
    assert runtime.run(mosaic, list(pattern((3, 20, 30)))).device == "cpu"
