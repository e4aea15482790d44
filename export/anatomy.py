"""Which nodes of a graph work on pixels, and which only reckon with its shape. Needs onnx, not torch.

ONNX Runtime leaves the arithmetic of shapes on the processor, whatever device was asked for, and rightly so
(onnxruntime #15005, #16358). A node that touches pixels there would mean that the device does not do the work. The
two are told apart by following the data: what depends on the pixels themselves, through any number of nodes, is pixel
work; what depends on nothing but `Shape` and constants is not, however large or small.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

SHAPES = frozenset({"Shape", "Size"})


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What the runtime has to know of a graph. `shape_nodes` and `pixel_nodes` are names of nodes; together, all.

    `float64`: whether pixels are computed in double precision somewhere.
    """

    shape_nodes: frozenset[str]
    pixel_nodes: frozenset[str]
    float64: bool


def anatomy(graph: Path | bytes) -> Anatomy:
    """Take a graph apart. Raises OSError, and what onnx raises for a file that is no graph."""
    model = onnx.load_from_string(graph) if isinstance(graph, bytes) else onnx.load(graph)
    touched = {value.name for value in model.graph.input}
    pixels, shapes, double = set[str](), set[str](), False
    for node in model.graph.node:  # in topological order, as ONNX demands
        if node.op_type not in SHAPES and touched & set(node.input):
            touched |= set(node.output)
            pixels.add(node.name)
            double |= _makes_double(node)
        else:
            shapes.add(node.name)
    return Anatomy(frozenset(shapes - {""}), frozenset(pixels), double)  # what has no name cannot be vouched for


def _makes_double(node: onnx.NodeProto) -> bool:
    """Pixels come in as bytes: only a Cast can make doubles of them."""
    return node.op_type == "Cast" and any(a.name == "to" and a.i == onnx.TensorProto.DOUBLE for a in node.attribute)
