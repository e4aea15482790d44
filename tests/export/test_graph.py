"""The exported graph against PyTorch and against the whole chain in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data

from export import OPSET
from export.build import build
from export.graph import EXAMPLES, INPUT, OUTPUT, export_onnx
from export.parity import FULL, QUICK, measure, most_pixels, open_session
from kernels.chain import canonical, parse_chain
from kernels.spec import operators

Exported = Callable[[object], Path]

# Parameter sets per operator; one that is missing here is tested with its defaults, so a new file is always tested.
SETS: dict[str, list[dict[str, object]]] = {
    "mosaic": [{}, {"block": 1}, {"block": 5, "border": "zero"}, {"block": 8, "method": "average"}],
    "gaussian_blur": [
        {"sigma": 3},
        {"sigma": 0.8, "border": "zero"},
        {"sigma": 40, "border": "replicate"},
        {"sigma": 2, "kernel": 11, "linear_light": True},
    ],
    "pool_upsample": [{}, {"scale": 1}, {"scale": 100}],
    "resize": [{"size": 256}, {"width": 33, "height": 70}, {"size": 1}],
    "pool_upsample_psnr": [{}, {"scales": [1, 7, 100, 512], "size": 600, "inputs": ["mosaic", "gray"]}],
}
STEPS: list[object] = [
    {name: parameters}
    for name, known in operators().items()
    if known.task is None
    for parameters in SETS.get(name, [{}])
]
MEASURED = {"pool_upsample_psnr": {"scales": [1, 4], "size": 32}}
# Behind the operator that is exported soonest: here it is measuring in between that is looked at.
STEPS.append([{"pool_upsample": {"scale": 5}}, "psnr", "grayscale", "psnr", MEASURED])
CHAIN = ["grayscale", {"gaussian_blur": {"sigma": 3}}, {"mosaic": {"block": 8}}]


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_every_operator_has_parity(exported: Exported, steps: object) -> None:
    report = measure(parse_chain(steps), exported(steps), FULL)
    assert len(report.comparisons) == len(FULL)
    assert report.passed, report.table()


def test_the_sizes_that_parity_looks_at() -> None:
    assert {batch for batch, _, _ in FULL} == {1, 2, 7}
    assert {(1, 1), (1080, 1920)} <= {(height, width) for _, height, width in FULL}


def test_a_chain_is_one_graph_without_rounding_between_steps(exported: Exported) -> None:
    photograph: np.ndarray = skimage.data.astronaut()
    (given,) = open_session(exported(CHAIN)).run([OUTPUT], {INPUT: photograph[None]})
    difference = np.abs(given[0].astype(int) - np.rint(float64_chain(photograph)))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999
    kinds = [node.op_type for node in onnx.load(exported(CHAIN)).graph.node]
    assert kinds.count("Round") == 1
    assert measure(parse_chain(CHAIN), exported(CHAIN)).passed


def float64_chain(picture: np.ndarray) -> np.ndarray:
    """CHAIN as its definitions read."""
    luma = picture @ np.array([0.299, 0.587, 0.114])
    taps = np.exp(-(np.arange(-12, 13.0) ** 2) / 18)
    blurred = _along_both(np.pad(luma, 12, mode="reflect"), taps / taps.sum())
    cells = np.pad(blurred[4::8, 4::8], 2, mode="reflect")
    small = _along_both(cells, np.array([1, 4, 6, 4, 1]) / 16)
    return np.kron(small, np.ones((8, 8)))[..., None].repeat(3, axis=2)


def _along_both(padded: np.ndarray, taps: np.ndarray) -> np.ndarray:
    rows = np.apply_along_axis(np.convolve, 0, padded, taps, "valid")
    return np.apply_along_axis(np.convolve, 1, rows, taps, "valid")


def test_batches_do_not_mix(exported: Exported) -> None:
    session = open_session(exported(CHAIN))
    pictures = np.random.default_rng(1).integers(0, 256, (7, 45, 67, 3), dtype=np.uint8)
    (together,) = session.run(None, {INPUT: pictures})
    for index in range(7):
        (alone,) = session.run(None, {INPUT: pictures[index : index + 1]})
        assert np.abs(together[index].astype(int) - alone[0]).max() <= 1


def test_what_a_graph_says_about_itself(exported: Exported) -> None:
    model = onnx.load(exported(CHAIN))
    assert {entry.version for entry in model.opset_import if entry.domain == ""} == {OPSET}
    (given,), (taken,) = model.graph.input, model.graph.output
    assert (given.name, taken.name) == ("input", "output")
    for value in (given, taken):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert all(side.dim_param for side in given.type.tensor_type.shape.dim[:3])
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["darkroom.chain"] == canonical(parse_chain(CHAIN))
    assert properties["darkroom.torch"]


def test_a_ratio_that_the_first_example_spoils_is_built_with_another(tmp_path: Path) -> None:
    # A picture of 9001 × 12007 is 9 wide at a height of 7: one block, and torch takes one for a constant.
    chain = parse_chain({"resize": {"height": 7}})
    build(chain, path := tmp_path / "graph.onnx")
    assert measure(chain, path, FULL).passed


def test_what_cannot_be_general_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.build.EXAMPLES", ((70, 90),))
    with pytest.raises(RuntimeError, match=r"resize: \{height: 7\} cannot be exported"):
        build(parse_chain({"resize": {"height": 7}}), tmp_path / "graph.onnx")
    assert list(tmp_path.iterdir()) == []


def test_parity_finds_a_wrong_graph(exported: Exported) -> None:
    report = measure(parse_chain("mosaic"), exported("grayscale"), QUICK)
    assert not report.passed
    assert "FAILED" in report.table()
    numbers = measure(parse_chain({"pool_upsample_psnr": {"size": 128}}), exported("pool_upsample_psnr"), QUICK[3:5])
    assert not numbers.passed and numbers.apart > 0.01
    smaller = measure(parse_chain("mosaic"), exported({"resize": {"size": 1}}), QUICK[3:])
    assert smaller.worst == 256


def test_parity_stays_within_memory() -> None:
    assert most_pixels(parse_chain({"resize": {"width": 3000}}), (1, 57, 1)) == 3000 * 3000 * 57
    assert most_pixels(parse_chain("mosaic"), (7, 2, 3)) == 42
    assert most_pixels(parse_chain(["mosaic", {"pool_upsample_psnr": {"size": 4096}}]), (2, 1, 57)) == 2 * 4096**2


def test_export_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export_onnx(parse_chain("grayscale"), tmp_path / "graph.onnx", EXAMPLES[1])
    assert capfd.readouterr() == ("", "")
