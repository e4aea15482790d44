"""report.csv: every picture and series, as a reader of CSV gets them back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kernels.spec import Series
from tests.report.studies import errors_of, grid_of, make_study, written

HEADER = "picture,input,scale,mse,psnr"


def test_one_row_for_each_picture_and_series(tmp_path: Path) -> None:
    psnr = np.random.default_rng(3).uniform(5, 50, (20, 18))
    report = written(tmp_path, make_study(errors_of(psnr)))
    rows = report.rows
    assert (tmp_path / "report.csv").read_text().partition("\n")[0] == HEADER
    expected = [(f"p{row}.png", each.input, str(each.scale)) for row in range(20) for each in grid_of()]
    assert [(row["picture"], row["input"], row["scale"]) for row in rows] == expected
    assert np.allclose([float(row["psnr"]) for row in rows], psnr.ravel(), rtol=0, atol=6e-5)
    assert np.allclose([float(row["mse"]) for row in rows], errors_of(psnr).ravel(), rtol=1e-8)


def test_identical_pictures_are_inf_and_no_scale_is_empty(tmp_path: Path) -> None:
    rows = written(tmp_path, make_study(np.array([[0.0], [1.0]]), (Series("mosaic"),), size=None)).rows
    assert [(row["scale"], row["mse"], row["psnr"]) for row in rows] == [("", "0", "inf"), ("", "1", "0.0000")]
    assert math.isinf(float(rows[0]["psnr"]))


@pytest.mark.parametrize(
    "name", ["a,b.png", 'a"b.png', "a\nb.png", "a\rb.png", " a%s%d.png", "日本/ä.png", "'=1+1.png"]
)
def test_names_come_back(tmp_path: Path, name: str) -> None:
    rows = written(tmp_path, make_study(np.full((1, 18), 0.1), pictures=[name])).rows
    assert len(rows) == 18
    assert {row["picture"] for row in rows} == {name}


def test_inputs_are_quoted_too(tmp_path: Path) -> None:
    (row,) = written(tmp_path, make_study(np.full((1, 1), 0.1), (Series('resize, "50 %d"'),), size=None)).rows
    assert row["input"] == 'resize, "50 %d"'


def test_a_name_that_is_not_utf8_leaves_the_file_readable(tmp_path: Path) -> None:
    rows = written(tmp_path, make_study(np.full((2, 18), 0.1), pictures=["odd\udcff.png", "good.png"])).rows
    assert {row["picture"] for row in rows} == {"odd\\udcff.png", "good.png"}


def test_nothing_measured_is_a_header(tmp_path: Path) -> None:
    written(tmp_path, make_study(np.empty((0, 18))))
    assert (tmp_path / "report.csv").read_text() == f"{HEADER}\n"
