"""A chain of steps as one `nn.Module`, and that as one ONNX file.

In goes a uint8 N×H×W×3 batch. Out comes the same, unless the chain only measures, and for each measurement a float32
tensor of N rows (`kernels.measuring` reads them).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export import OPSET
from kernels.chain import Chain, Step, canonical, measured_steps
from kernels.measuring import makes_pictures, output_name
from kernels.picture import Picture
from kernels.spec import operators

INPUT, OUTPUT = "input", "output"

# Heights and widths to trace with. torch treats a size of 1 as special, also one it derives (the number of cells, the
# height that goes with `width: 10`): the example must be so large that nothing derived from it is 1. Primes, so that
# nothing divides them by chance. A chain that fixes the ratio may need a very tall or a very wide one.
EXAMPLES = ((9001, 12007), (120011, 131), (131, 120011))


def apply(step: Step, picture: Picture) -> Picture:
    """One step of a chain; a measurement leaves the picture as it is."""
    operator = operators()[step.name]
    if operator.measures:
        return picture
    result: Picture = operator.function(picture, **dict(step.parameters))
    return result


def output_names(chain: Chain) -> list[str]:
    """The outputs of a chain's graph, in order."""
    measured = [output_name(measured.index) for measured in measured_steps(chain)]
    return [OUTPUT, *measured] if makes_pictures(chain) else measured


class ChainModule(nn.Module):
    """The chain applied to a uint8 N×H×W×3 batch; nothing is rounded between its steps."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        """The outputs named by `output_names`: the finished batch, uint8 (a chain may change H and W), measurements."""
        source = picture = Picture(batch)
        measured = list[Tensor]()
        for step in self.chain:
            operator = operators()[step.name]
            if operator.measures:
                measured.append(operator.function(picture, source, **dict(step.parameters)))
            picture = apply(step, picture)
        return (picture.bytes(), *measured) if makes_pictures(self.chain) else tuple(measured)


def export_onnx(chain: Chain, path: Path, example: tuple[int, int] = EXAMPLES[0]) -> None:
    """Write the chain to `path` as ONNX, for any batch of one or more pictures of any size.

    `example` is the height and width that torch traces. Raises RuntimeError when the graph is not what was asked for,
    and whatever torch and onnx raise.
    """
    model = _trace(ChainModule(chain).eval(), example)
    for key, value in metadata(chain).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    _verify(model)
    path.write_bytes(model.SerializeToString())


def metadata(chain: Chain) -> Mapping[str, str]:
    """What a graph says about itself."""
    return {"darkroom.chain": canonical(chain), "darkroom.opset": str(OPSET), **versions()}


def versions() -> Mapping[str, str]:
    """The versions that a graph depends on."""
    return {f"darkroom.{name}": version(name) for name in ("torch", "onnx", "onnxscript")}


def _trace(module: ChainModule, example: tuple[int, int]) -> onnx.ModelProto:
    batch = torch.empty(2, *example, 3, dtype=torch.uint8)  # never touched, so it costs addresses but no memory
    any_size = torch.export.Dim.DYNAMIC
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            module,
            (batch,),
            dynamic_shapes=({0: any_size, 1: any_size, 2: any_size},),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        exported = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=output_names(module.chain),
            verbose=False,
        )
    assert exported is not None  # with dynamo=True there is always one
    return exported.model_proto


def _verify(model: onnx.ModelProto) -> None:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("") != OPSET:
        raise RuntimeError(f"the exporter gave opset {opsets.get('')}, not {OPSET}; check the version of torch")
    (graph_input,) = model.graph.input
    sides = graph_input.type.tensor_type.shape.dim
    if [bool(side.dim_param) for side in sides] != [True, True, True, False]:
        raise RuntimeError("the exporter fixed a size of the input; a step of the chain depends on the traced size")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress lines, log lines or warnings from the exporter; its errors pass."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
