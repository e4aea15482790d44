"""report.json: each figure against numpy, and the fields against their documentation."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.model import State
from daemon.report.values import Unmeasured
from kernels.spec import Series
from tests.report.studies import errors_of, grid_of, make_study, seed_errors, written

PAGE = Path(__file__).parents[2] / "docs" / "study.md"


def test_figures_are_those_of_numpy(tmp_path: Path) -> None:
    psnr = np.random.default_rng(4).normal(20, 4, (321, 18))
    psnr[:7, 3] = np.inf
    content = written(tmp_path, make_study(errors_of(psnr))).json
    assert len(content["series"]) == 18
    for column, (told, series) in enumerate(zip(content["series"], grid_of(), strict=True)):
        values = psnr[np.isfinite(psnr[:, column]), column]
        assert (told["input"], told["scale"]) == (series.input, series.scale)
        assert (told["pictures"], told["identical"]) == (321, 321 - len(values))
        expected = {
            "mean": values.mean(),
            "sd": values.std(ddof=1),
            "median": np.median(values),
            "p10": np.quantile(values, 0.1),
            "p90": np.quantile(values, 0.9),
            "min": values.min(),
            "max": values.max(),
        }
        assert {name: told[name] for name in expected} == pytest.approx(expected, abs=1e-6)
        check_histogram(told["histogram"], values)


def check_histogram(told: dict[str, Any], values: Any) -> None:
    edges = told["low"] + told["bin"] * np.arange(len(told["counts"]) + 1)
    assert told["counts"] == np.histogram(values, edges)[0].tolist()
    assert sum(told["counts"]) == len(values)
    assert told["counts"][0] and told["counts"][-1]


def test_the_seeds_table(tmp_path: Path) -> None:
    series = written(tmp_path, make_study(seed_errors(101, spread=3))).json["series"]
    means = {(each["input"], each["scale"]): each["mean"] for each in series}
    assert means[("true", 1)] == "inf"
    assert means[("true", 2)] == pytest.approx(24.61)
    assert means[("mosaic", 32)] == pytest.approx(14.22)


def test_what_does_not_exist_is_null_and_infinity_a_word(tmp_path: Path) -> None:
    one = written(tmp_path, make_study(np.array([[0.01, 0.0]]), (Series("a"), Series("b")), size=None)).json["series"]
    assert (one[0]["mean"], one[0]["sd"], one[0]["max"]) == (20, None, 20)
    assert (one[1]["mean"], one[1]["sd"], one[1]["identical"]) == ("inf", None, 1)
    assert one[1]["histogram"]["counts"] == []
    none = written(tmp_path, make_study(np.empty((0, 18)))).json
    assert (none["pictures"], none["series"][0]["mean"], none["examples"]) == (0, None, [])


def test_counts_reasons_and_times(tmp_path: Path) -> None:
    study = make_study(
        seed_errors(3),
        counts={State.DONE: 5, State.WAITING: 7, State.FAILED: 1},
        skipped=[Unmeasured("scan.png", "gray: channel correlation 0.998 ≥ 0.995")],
        failed=[Unmeasured("odd\udcff.jpg", "broken")],
        left_out=2,
        devices={"CUDA": 2, "CPU": 1},
    )
    content = written(tmp_path, study).json
    assert content["counts"] == {
        "waiting": 7, "running": 0, "done": 5, "failed": 1, "skipped": 0, "cancelled": 0
    }  # fmt: skip
    assert (content["complete"], content["left_out"], content["pictures"]) == (False, 2, 3)
    assert content["skipped"] == [{"picture": "scan.png", "reason": "gray: channel correlation 0.998 ≥ 0.995"}]
    assert content["failed"] == [{"picture": "odd\\udcff.jpg", "reason": "broken"}]
    assert content["devices"] == {"CUDA": 2, "CPU": 1}
    assert datetime.fromisoformat(content["updated"]) == datetime.fromtimestamp(1_800_000_000.25, UTC)


def test_examples_are_the_extremes_and_the_middle(tmp_path: Path) -> None:
    content = written(tmp_path, make_study(seed_errors(101, spread=3))).json
    told = [(each["picture"], each["role"]) for each in content["examples"]]
    assert told[:2] == [("p0.png", "lowest"), ("p1.png", "lowest")]
    assert told[2:5] == [("p49.png", "typical"), ("p50.png", "typical"), ("p51.png", "typical")]
    assert told[5:] == [("p99.png", "highest"), ("p100.png", "highest")]
    typical = content["examples"][3]
    assert typical["psnr"][0] == "inf"
    assert typical["overall"] == pytest.approx(np.mean([value for value in typical["psnr"] if value != "inf"]))


def test_every_field_is_documented(tmp_path: Path) -> None:
    study = make_study(seed_errors(3), skipped=[Unmeasured("a", "b")], failed=[Unmeasured("c", "d")])
    documented = set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for name in fields(written(tmp_path, study).json):
        assert name in documented, f"docs/study.md does not tell of {name} in report.json"


def fields(value: Any, prefix: str = "") -> set[str]:
    """Every field as a dotted path; `[]` stands for the elements of a list. Counts and devices have no fields."""
    if isinstance(value, list):
        return {name for each in value for name in fields(each, f"{prefix}[]")}
    if not isinstance(value, dict) or prefix in ("counts", "devices"):
        return {prefix}
    inside = {name for key, each in value.items() for name in fields(each, f"{prefix}.{key}" if prefix else key)}
    return {name.removesuffix("[]") for name in inside}
