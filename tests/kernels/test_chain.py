"""Chains: what is understood, and every fault with its place and its remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from kernels.chain import ChainError, Fault, Step, canonical, describe, parse_chain
from kernels.measuring import series_of
from kernels.spec import (
    REQUIRED,
    Choice,
    Choices,
    Flag,
    Integer,
    Integers,
    Number,
    ParameterError,
    operator,
    operators,
)


def faults(raw: object) -> tuple[Fault, ...]:
    with pytest.raises(ChainError) as caught:
        parse_chain(raw)
    return caught.value.faults


def test_defaults_are_filled_in_and_sorted() -> None:
    (step,) = parse_chain(["mosaic"])
    assert step == Step("mosaic", (("block", 16), ("border", "reflect"), ("method", "sample")))


@pytest.mark.parametrize("raw", ["mosaic", ["mosaic"], {"mosaic": None}, [{"mosaic": {}}], {"mosaic": {"block": 16}}])
def test_the_ways_to_write_a_step(raw: object) -> None:
    assert parse_chain(raw) == parse_chain("mosaic")


def test_equal_numbers_give_equal_steps() -> None:
    assert parse_chain({"gaussian_blur": {"sigma": 3}}) == parse_chain({"gaussian_blur": {"sigma": 3.0}})
    assert canonical(parse_chain({"gaussian_blur": {"sigma": 3}})) == canonical(
        parse_chain({"gaussian_blur": {"sigma": 3.0, "border": "reflect"}})
    )


def test_optional_parameters_stay_absent() -> None:
    (step,) = parse_chain({"resize": {"size": 256}})
    assert step.parameters == (("size", 256),)


TEXTS = [
    "mosaic",
    "[grayscale, gaussian_blur: {sigma: 2.5}, resize: {width: 7}]",
    "[psnr, mosaic, psnr]",
    "pool_upsample_psnr: {inputs: [mosaic, true], scales: [32, 3]}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_canonical_text_reads_back(text: str) -> None:
    chain = parse_chain(yaml.safe_load(text))
    assert parse_chain(json.loads(canonical(chain))) == chain


def test_describe_says_what_is_not_default() -> None:
    chain = parse_chain(["grayscale", {"gaussian_blur": {"sigma": 3, "linear_light": True}}, {"mosaic": {"block": 8}}])
    assert describe(chain) == "grayscale | gaussian_blur: {linear_light: true, sigma: 3} | mosaic: {block: 8}"


STUDY, RESIZE = "pool_upsample_psnr", {"resize": {"size": 8}}
SCALES, INPUTS = (0, STUDY, "scales"), (0, STUDY, "inputs")
NAMES = ("true", "gray", "mosaic")


def scales(value: object) -> object:
    return {STUDY: {"scales": value}}


def inputs(value: object) -> object:
    return {STUDY: {"inputs": value}}


FAULTS: list[tuple[object, tuple[str | int, ...], str, str]] = [
    ([], (), "no steps", "mosaic"),
    (None, (), "no steps", "mosaic"),
    (["mosiac"], (0, "mosiac"), "no step is called", "did you mean mosaic?"),
    ([{"mosaic": {"blok": 8}}], (0, "mosaic", "blok"), "no parameter", "did you mean block?"),
    ([{"grayscale": {"x": 8}}], (0, "grayscale", "x"), "no parameter", "none"),
    ([{"mosaic": {"block": 0}}], (0, "mosaic", "block"), "out of range", "1–4096 px"),
    ([{"mosaic": {"block": True}}], (0, "mosaic", "block"), "true", "1–4096 px"),
    ([{"mosaic": {"block": 8.0}}], (0, "mosaic", "block"), "whole number", "1–4096 px"),
    ([{"mosaic": {"block": None}}], (0, "mosaic", "block"), "nothing", "1–4096 px"),
    ([{"mosaic": {"border": "reflekt"}}], (0, "mosaic", "border"), "reflekt", "did you mean reflect?"),
    ([{"mosaic": {"border": ["zero"]}}], (0, "mosaic", "border"), "zero", "known: reflect, zero"),
    (["gaussian_blur"], (0, "gaussian_blur", "sigma"), "needs sigma", "0.1–100 px"),
    ([{"gaussian_blur": {"sigma": float("nan")}}], (0, "gaussian_blur", "sigma"), "out of range", "0.1–100 px"),
    ([{"gaussian_blur": {"sigma": float("inf")}}], (0, "gaussian_blur", "sigma"), "out of range", "0.1–100 px"),
    ([{"gaussian_blur": {"sigma": 10**400}}], (0, "gaussian_blur", "sigma"), "out of range", "0.1–100 px"),
    ([{"gaussian_blur": {"sigma": "3"}}], (0, "gaussian_blur", "sigma"), "not a number", "0.1–100 px"),
    ([{"gaussian_blur": {"sigma": 3, "kernel": 4}}], (0, "gaussian_blur", "kernel"), "even", "odd"),
    ([{"gaussian_blur": {"sigma": 3, "linear_light": 1}}], (0, "gaussian_blur", "linear_light"), "neither", "true"),
    (["resize"], (0, "resize"), "no target", "give size"),
    ([{"resize": {"size": 8, "width": 9}}], (0, "resize", "size"), "beside", "give size, or"),
    ([{"mosaic": 8}], (0, "mosaic"), "not a set of parameters", "mosaic: {block: ...}"),
    ([{"grayscale": 8}], (0, "grayscale"), "not a set of parameters", "alone"),
    ([{"mosaic": None, "block": 8}], (0,), "block stands beside mosaic", "indent"),
    ([7], (0,), "not a step", "name: {parameters}"),
    ([{True: {}}], (0,), "not a step", "name: {parameters}"),
    ([["mosaic"]], (0,), "not a step", "name: {parameters}"),
    ([{"mosaic": {True: 8}}], (0, "mosaic", "True"), "no parameter true", "known: block"),
    # Lists.
    (scales(8), SCALES, "8 is not a list", "a list of 1–1024 px"),
    (scales([]), SCALES, "the list is empty", "a list of 1–1024 px"),
    (scales([1, 2, 1]), SCALES, "1 stands there twice", "once"),
    (scales([0, 2]), SCALES, "0 is out of range", "1–1024 px"),
    (scales([2, 1025]), SCALES, "1025 is out of range", "1–1024 px"),
    (scales([2.0]), SCALES, "2.0 is not a whole number", "1–1024 px"),
    (scales([True, 2]), SCALES, "true is not a whole number", "1–1024 px"),
    (scales([[1, 2]]), SCALES, "[1, 2] is not a whole number", "1–1024 px"),
    (scales("124"), SCALES, "'124' is not a list", "a list of 1–1024 px"),
    (scales({1: 2}), SCALES, "{1: 2} is not a list", "a list of 1–1024 px"),
    (scales(None), SCALES, "nothing is not a list", "a list of 1–1024 px"),
    (inputs("gray"), INPUTS, "'gray' is not a list", "a list of true | gray | mosaic"),
    (inputs(True), INPUTS, "true is not a list", "a list of true | gray | mosaic"),
    (inputs([]), INPUTS, "the list is empty", "a list of true | gray | mosaic"),
    (inputs(["gray", "gray"]), INPUTS, "'gray' stands there twice", "once"),
    (inputs([True, "true"]), INPUTS, "'true' stands there twice", "once"),
    (inputs(["grey"]), INPUTS, "'grey' is not known", "did you mean gray? known: true, gray, mosaic"),
    (inputs([False]), INPUTS, "'false' is not known", "known: true, gray, mosaic"),
    (inputs([1]), INPUTS, "1 is not known", "known: true, gray, mosaic"),
    (inputs([["gray"]]), INPUTS, "['gray'] is not known", "known: true, gray, mosaic"),
    # Where measurements stand.
    ([RESIZE, "psnr"], (1, "psnr"), "resize changes the size", "put psnr before resize"),
    (["mosaic", RESIZE, "grayscale", "psnr"], (3, "psnr"), "resize changes the size", "put psnr before resize"),
    (
        [{"pool_upsample_psnr": {"scales": [1]}}, {"pool_upsample_psnr": {"scales": [2], "size": 64}}],
        (1, "pool_upsample_psnr"),
        "measures at another size than steps[0]",
        "give both the same size",
    ),
    (["psnr", "psnr"], (1, "psnr"), "names of those of steps[0]", "remove one"),
    (["mosaic", "psnr", STUDY, "psnr"], (3, "psnr"), "names of those of steps[1]", "remove one"),
    ([STUDY, {STUDY: {"size": 128}}], (1, STUDY), "names of those of steps[0]", "a rule of its own"),
    ([STUDY, "mosaic", STUDY], (2, STUDY), "names of those of steps[0]", "a rule of its own"),
]


@pytest.mark.parametrize(("raw", "path", "problem", "remedy"), FAULTS, ids=[str(fault[0])[:50] for fault in FAULTS])
def test_a_fault_says_where_what_and_what_to_do(raw: object, path: Any, problem: str, remedy: str) -> None:
    (fault,) = faults(raw)
    assert fault.path == path
    assert problem in fault.problem
    assert remedy in fault.remedy
    assert "\n" not in str(fault)


def test_the_word_true_is_read_as_yaml_reads_it() -> None:
    """In a list of words, true is one of them, quoted or not; the order is that of the words."""
    for text in ("[true, gray]", "['true', gray]", "[gray, true]", "[gray, yes]"):
        (step,) = parse_chain(yaml.safe_load(f"{STUDY}: {{inputs: {text}}}"))
        assert dict(step.parameters)["inputs"] == ("true", "gray")


def test_scales_are_put_in_order() -> None:
    assert parse_chain(scales([32, 1, 8])) == parse_chain(scales((1, 8, 32)))
    assert canonical(parse_chain(scales([32, 1, 8]))) == canonical(parse_chain(scales([1, 8, 32])))


def test_lists_are_described_as_yaml_reads_them_back() -> None:
    chain = parse_chain({STUDY: {"inputs": ["true", "mosaic"], "scales": [16, 2], "size": 256}})
    assert describe(chain) == "pool_upsample_psnr: {inputs: [true, mosaic], scales: [2, 16]}"
    assert parse_chain(yaml.safe_load(describe(chain))) == chain
    assert describe(parse_chain(STUDY)) == STUDY


MEASURING = [
    (["psnr", "mosaic", "psnr", "grayscale", "psnr"], ["true", "mosaic", "mosaic | grayscale"]),
    (["psnr", RESIZE], ["true"]),
    ([RESIZE, {STUDY: {"scales": [4], "inputs": ["gray"]}}], ["gray 4"]),
    ([scales([1, 2]), "mosaic", scales([4])], [f"{name} {s}" for t in ((1, 2), (4,)) for name in NAMES for s in t]),
    (["mosaic"], []),
]


@pytest.mark.parametrize(("steps", "names"), MEASURING, ids=[str(steps)[:60] for steps, _ in MEASURING])
def test_where_measurements_may_stand_and_what_their_numbers_are_called(steps: object, names: list[str]) -> None:
    series = series_of(parse_chain(steps))
    assert [each.input if each.scale is None else f"{each.input} {each.scale}" for each in series] == names


def test_all_faults_are_told_at_once() -> None:
    found = faults([{"mosaic": {"blok": 1, "border": "up"}}, "grascale", {"gaussian_blur": {"sigma": 0}}])
    assert [fault.path for fault in found] == [
        (0, "mosaic", "blok"),
        (0, "mosaic", "border"),
        (1, "grascale"),
        (2, "gaussian_blur", "sigma"),
    ]


def test_parameters_describe_themselves() -> None:
    assert Integer(16, 1, 4096, "px").describe() == "1–4096 px, default 16"
    assert Integer(None, 1, 1001, "taps", odd=True).describe() == "odd, 1–1001 taps, optional"
    assert Number(REQUIRED, 0.1, 100, "px").describe() == "0.1–100 px, required"
    assert Choice("zero", ("reflect", "zero")).describe() == "reflect | zero, default zero"
    assert Flag(False).describe() == "true | false, default false"
    assert Integers((1, 2), 1, 64, "px").describe() == "a list of 1–64 px, default [1, 2]"
    assert Choices(("true",), ("true", "gray")).describe() == "a list of true | gray, default [true]"


def test_every_operator_documents_itself() -> None:
    assert {"mosaic", "gaussian_blur", "pool_upsample", "grayscale", "resize", "psnr", STUDY} <= set(operators())
    for known in operators().values():
        assert "\n    " not in known.doc, "the indentation of the source"
        assert known.summary.endswith((".", ")")) or ":" in known.summary
        assert all(parameter.doc for parameter in known.parameters.values())


def test_a_name_is_taken_once_and_a_default_lies_within_its_bounds() -> None:
    with pytest.raises(ValueError, match="two operators are called 'mosaic'"):
        operator("mosaic")(lambda picture: picture)
    with pytest.raises(ParameterError, match="out of range"):
        operator("nothing", side=Integer(0, 1, 9))


def test_a_step_loads_its_own_file_only() -> None:
    program = (
        "import sys; from kernels.chain import parse_chain; parse_chain(['mosaic', {'resize': {'width': 9}}]); "
        "assert 'kernels.mosaic' in sys.modules and 'kernels.style_transfer' not in sys.modules; "
        "from kernels.spec import operators; assert 'nothing' not in operators() and len(operators()) >= 10; "
        "assert list(operators()) == sorted(operators()) and 'kernels.style_transfer' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_reading_chains_loads_no_torch() -> None:
    program = (
        "import sys; from kernels.chain import parse_chain, describe, canonical; "
        "from kernels.spec import operators; import kernels.mosaic, kernels.picture, export.store; "
        "chain = parse_chain([name for name in ('mosaic', 'grayscale')]); describe(chain), canonical(chain); "
        "[p.describe() for o in operators().values() for p in o.parameters.values()]; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'onnx')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
