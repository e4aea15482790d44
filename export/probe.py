"""A small graph that proves a device before any rule's graph is there. Needs onnx, not torch.

It does what the operators do: bytes N×H×W×3 in, float32 in between, a convolution (cuDNN), a matrix product (cuBLAS),
a slice by the picture's own size (shape arithmetic, which may stay on the processor), rounding, bytes out. What must
come out is computed by NumPy in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export import OPSET
from export.golden import Golden, pattern

SHAPE = (2, 24, 40)
TAPS = np.array([1, 2, 1], np.float64) / 4
FINE = 1 + 2.0**-11 - 2.0**-20
"""A factor that float32 holds exactly and TF32 or FP16 round to 1: a device that computes in those is 5e-4 off."""
MIX = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]], np.float64)


def probe_graph() -> bytes:
    """The graph, serialised: `input` uint8 N×H×W×3; `output` the same, and `mean` float32 N."""
    constants: dict[str, NDArray[Any]] = {
        "first": np.array([0], np.int64),
        "last": np.array([3], np.int64),
        "rows": np.array([1], np.int64),
        "kernel": np.tile(np.outer(TAPS, TAPS) * FINE, (3, 1, 1, 1)).astype(np.float32),
        "mix": MIX.astype(np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(255, np.float32),
        "axes": np.array([1, 2, 3], np.int64),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["input"], ["levels"], "to_float", to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["levels", "mix"], ["mixed"], "mix"),
        helper.make_node("Transpose", ["mixed"], ["planes"], "to_planes", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["blurred"], "blur", group=3, pads=[1, 1, 1, 1]),
        helper.make_node("Shape", ["input"], ["size"], "size"),
        helper.make_node("Slice", ["size", "rows", "last", "first"], ["sides"], "sides"),
        helper.make_node("Sub", ["sides", "one"], ["inner"], "inner"),
        helper.make_node("Slice", ["blurred", "from", "inner", "both"], ["cut"], "cut"),
        helper.make_node("ReduceMean", ["cut", "axes"], ["mean"], "mean", keepdims=0),
        helper.make_node("Transpose", ["cut"], ["pixels"], "to_pixels", perm=[0, 2, 3, 1]),
        helper.make_node("Round", ["pixels"], ["whole"], "round"),
        helper.make_node("Clip", ["whole", "low", "high"], ["bounded"], "clip"),
        helper.make_node("Cast", ["bounded"], ["output"], "to_bytes", to=TensorProto.UINT8),
    ]
    constants |= {"from": np.array([0, 0], np.int64), "both": np.array([2, 3], np.int64)}
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("input", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [
            helper.make_tensor_value_info("output", TensorProto.UINT8, ["batch", "below", "beside", 3]),
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def probe_golden() -> Golden:
    """A batch, and what the graph must make of it."""
    batch = pattern(SHAPE)
    exact = _blurred(batch.astype(np.float64) @ MIX)[:, :-1, :-1]
    levels = np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    mean = exact.mean((1, 2, 3)).astype(np.float32)
    return Golden(batch, {"output": levels, "mean": mean}, relative=(FINE - 1) / 4)


def _blurred(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = pictures.shape[1:3]
    weights, blurred = np.outer(TAPS, TAPS) * FINE, np.zeros_like(pictures)
    for row in range(3):
        for column in range(3):
            blurred += weights[row, column] * padded[:, row : row + height, column : column + width]
    return blurred
