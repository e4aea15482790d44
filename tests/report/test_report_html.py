"""report.html: one sound file with everything in it, whatever was measured."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.model import State
from daemon.report.values import Unmeasured
from kernels.spec import Series
from tests.box import Pixels
from tests.report.studies import INPUTS, SCALES, SEED, Report, errors_of, grid_of, make_study, seed_errors, written

PLAIN = (Series("mosaic"),)
ALL_SECTIONS = ["results", "curves", "unet", "spread", "pictures", "without"]


@pytest.fixture
def seed(tmp_path: Path, photograph: Pixels) -> Report:
    """A study with the seed's means and everything that can be told."""
    study = make_study(
        seed_errors(101, spread=3),
        counts={State.DONE: 110, State.SKIPPED: 42, State.FAILED: 1, State.WAITING: 0},
        skipped=[Unmeasured("scan.png", "gray: channel correlation 0.998 ≥ 0.995")],
        failed=[Unmeasured("half.jpg", "damaged")],
        left_out=9,
    )
    return written(tmp_path, study, lambda _: photograph)


# -- one file --------------------------------------------------------------------------------------------------------


def test_it_needs_nothing_from_anywhere(seed: Report) -> None:
    assert "://" not in seed.html and "@import" not in seed.html and "url(" not in seed.html
    for tag, attribute in (("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src")):
        for element in seed.page.all(tag):
            assert (element.attributes.get(attribute) or "data:").startswith("data:")
    assert {link.attributes["href"] for link in seed.page.all("a")} == {"report.csv", "report.json"}


def test_only_its_own_script_may_run(seed: Report) -> None:
    (policy,) = [
        meta.attributes["content"]
        for meta in seed.page.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (script,) = [each.text for each in seed.page.all("script") if "type" not in each.attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None and f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_names_and_reasons_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>&\"'.png"
    study = make_study(
        np.full((1, 18), 0.01),
        pictures=[evil],
        steps=evil,
        devices={evil: 1},
        skipped=[Unmeasured(evil, evil)],
        failed=[Unmeasured("new\nline\u202e\udcff\x1b.png", "reason")],
    )
    page = written(tmp_path, study).page
    assert len(page.all("script")) == 2
    assert page.root.text.count(evil) == 5
    assert "new\\nline\\u202e\\udcff\\x1b.png" in page.section("without").text


def test_inputs_with_odd_names_cannot_either(tmp_path: Path) -> None:
    evil = "</script><b>&\"'"
    page = written(tmp_path, make_study(np.full((2, 2), 0.01), (Series(evil, 2), Series(evil, 4)))).page
    assert not page.all("b")
    assert json.loads(page.all("script")[0].text)["outcomes"].keys() == {evil}


def test_it_is_small_and_sound_with_12000_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)  # nothing compresses worse
    psnr = rng.normal(20, 4, (12_000, 18))
    report = written(tmp_path, make_study(errors_of(psnr)), lambda _: noise)
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    assert len(report.page.section("pictures").all("img")) == 7 * 18
    assert len(report.rows) == 12_000 * 18


# -- what it says ----------------------------------------------------------------------------------------------------


def test_the_table_is_the_seeds(seed: Report) -> None:
    table = seed.page.table("results")
    assert table[0] == ["Scale pixels left", *INPUTS]
    assert table[1][:2] == ["1 256×256", "∞"]
    sd = np.std(np.linspace(-3, 3, 101), ddof=1)
    for row, scale in zip(table[1:], SCALES, strict=True):
        assert row[0].startswith(f"{scale} {256 // scale}×")
        for name, told in zip(INPUTS, row[1:], strict=True):
            mean = SEED[name][SCALES.index(scale)]
            assert told == ("∞" if np.isinf(mean) else f"{mean:.2f} ± {sd:.2f}")


def test_every_section_is_there(seed: Report) -> None:
    assert seed.page.sections == ALL_SECTIONS
    for table in seed.page.all("table"):
        heads = [cell for cell in table.all("th") if "scope" in cell.attributes]
        assert len(heads) == len(table.all("th"))
    for svg in seed.page.all("svg"):
        assert svg.attributes.get("aria-hidden") == "true" or (svg.all("title") and svg.attributes["role"] == "img")
    assert all(image.attributes["alt"] for image in seed.page.all("img"))
    fields = {field.attributes.get("id") for field in seed.page.all("input")}
    assert "p" in fields and seed.page.all("label")[0].attributes["for"] == "p"


def test_identifiers_are_unique(seed: Report) -> None:
    page = seed.page
    found = [each.attributes["id"] for tag in ("h2", "title", "desc", "input", "output") for each in page.all(tag)
             if "id" in each.attributes]  # fmt: skip
    assert len(found) == len(set(found))
    named = {name for svg in page.all("svg") for name in (svg.attributes.get("aria-labelledby") or "").split()}
    assert named <= set(found)


def test_what_is_missing_is_explained(seed: Report) -> None:
    words = seed.page.section("without").words
    assert "Skipped: 42 pictures" in words and "scan.png gray: channel correlation 0.998 ≥ 0.995" in words
    assert "The newest 1 of 42" in words and "Failed: 1 picture half.jpg damaged" in words
    assert "Left out: 9 pictures Measured with other steps" in words


def test_it_tells_how_complete_it_is(tmp_path: Path, seed: Report) -> None:
    assert "Complete: no picture is waiting." in seed.page.all("header")[0].words
    counts = {State.DONE: 3, State.WAITING: 20, State.RUNNING: 1}
    header = written(tmp_path, make_study(seed_errors(3), counts=counts)).page.all("header")[0]
    assert "Pool-upsample PSNR of 3 pictures" in header.words
    assert "In progress: 21 pictures are still to be measured." in header.words
    (bar,) = [each for each in header.all("span") if "style" in each.attributes]
    assert bar.attributes["style"] == "width: 12.5%"


def test_the_curves_are_where_their_numbers_are(seed: Report) -> None:
    """The marks of each line, measured with the axis' own ticks, give the seed's table back."""
    for svg in seed.page.section("curves").all("svg"):
        ticks = [each for each in svg.all("text") if each.attributes.get("class") == "tick"]
        levels = {int(each.text): float(each.attributes["y"] or 0) - 4 for each in ticks
                  if each.attributes.get("text-anchor") == "end"}  # fmt: skip
        low, high = min(levels), max(levels)
        slope = (levels[high] - levels[low]) / (high - low)
        (true,) = [each for each in svg.all("g") if "c-true" in (each.attributes["class"] or "")]
        heights = [float(mark.attributes["cy"] or 0) for mark in true.all("circle")]
        found = [low + (height - levels[low]) / slope for height in heights]
        assert found == pytest.approx(SEED["true"][1:], abs=0.1)
        assert "∞" in true.text


# -- other studies ---------------------------------------------------------------------------------------------------


def test_nothing_measured_yet(tmp_path: Path) -> None:
    page = written(tmp_path, make_study(np.empty((0, 18)), counts={State.WAITING: 12}, devices={})).page
    assert page.all("h1")[0].words == "Nothing measured yet"
    assert page.sections == []
    assert "12 pictures are still to be measured" in page.root.text
    assert "No picture has arrived yet." in written(tmp_path, make_study(np.empty((0, 1)), PLAIN, counts={})).html


def test_a_rule_with_psnr_alone(tmp_path: Path, photograph: Pixels) -> None:
    psnr = np.linspace(10, 30, 41)
    study = make_study(errors_of(psnr)[:, None], PLAIN, size=None, steps="[mosaic, psnr]")
    page = written(tmp_path, study, lambda _: photograph).page
    assert page.sections == ["psnr", "spread", "pictures"]
    table = dict(page.table("psnr"))
    assert (table["After"], table["Mean"], table["Lowest"], table["Highest"]) == ("mosaic", "20.00", "10.00", "30.00")
    assert table["Standard deviation"] == f"{psnr.std(ddof=1):.2f}"
    assert "Lowest 10.00 dB p0.png" in page.section("pictures").words
    assert "U-Net" not in page.all("main")[0].text


def test_pooled_and_plain_measurements_together(tmp_path: Path, photograph: Pixels) -> None:
    series = (*grid_of(["gray"]), Series("resize"), Series("resize, mosaic"))
    psnr = np.random.default_rng(5).normal(20, 2, (30, 8))
    page = written(tmp_path, make_study(errors_of(psnr), series), lambda _: photograph).page
    assert page.sections == ["results", "curves", "unet", "psnr", "spread", "pictures"]
    assert page.table("psnr")[0] == ["After", "resize", "resize, mosaic"]
    assert len(page.section("spread").all("figure")) == 8


@pytest.mark.parametrize("series", [grid_of(["true"], [1]), PLAIN])
def test_all_identical(tmp_path: Path, series: tuple[Series, ...]) -> None:
    page = written(tmp_path, make_study(np.zeros((5, 1)), series)).page
    assert page.table("results" if series != PLAIN else "psnr")[1][1] == "∞"
    assert "curves" not in page.sections and "spread" not in page.sections


def test_some_identical(tmp_path: Path) -> None:
    psnr = np.full((10, 18), 20.0)
    psnr[:4, 1] = np.inf
    psnr[4:, 1] = (20, 21, 22, 23, 24, 25)
    page = written(tmp_path, make_study(errors_of(psnr))).page
    assert page.table("results")[2][1] == "22.50 ± 1.87 and 4 × ∞"
    assert "true: 4 ∞" in page.section("spread").words


def test_one_picture(tmp_path: Path, photograph: Pixels) -> None:
    page = written(tmp_path, make_study(seed_errors(1)), lambda _: photograph).page
    assert page.all("h1")[0].words == "Pool-upsample PSNR of 1 picture"
    assert page.table("results")[2] == ["2 128×128", "24.61", "18.65", "15.58"]
    assert [heading.words.split()[0] for heading in page.section("pictures").all("h3")] == ["Typical"]


@pytest.mark.parametrize("scales", [(4,), (1, 2), (1, 3, 5, 7, 100), tuple(range(1, 25))])
@pytest.mark.parametrize("inputs", [("mosaic",), ("gray", "true")])
def test_any_scales_and_inputs(tmp_path: Path, inputs: tuple[str, ...], scales: tuple[int, ...]) -> None:
    series = grid_of(inputs, scales)
    psnr = np.random.default_rng(6).normal(20, 2, (9, len(series)))
    page = written(tmp_path, make_study(errors_of(psnr), series)).page
    assert [row[0].split()[0] for row in page.table("results")[1:]] == [str(scale) for scale in scales]
    assert len(page.section("spread").all("figure")) == len(scales)
    assert ("curves" in page.sections) == (len(scales) > 1)


# -- what it means for a U-Net ---------------------------------------------------------------------------------------


def numbers_of(report: Report) -> dict[str, Any]:
    (data,) = [each.text for each in report.page.all("script") if "type" in each.attributes]
    numbers: dict[str, Any] = json.loads(data)
    return numbers


def test_without_scripts_it_speaks_of_three_values(seed: Report) -> None:
    assert seed.page.table("unet", 1) == [
        ["p", "true", "gray", "mosaic"],
        ["15 dB", "1, 2, 4, 8, 16", "1, 2, 4, 8", "1, 2, 4, 8, 16"],
        ["20 dB", "1, 2, 4", "none", "none"],
        ["25 dB", "1", "none", "none"],
    ]
    assert "hidden" in seed.page.all("form")[0].attributes
    words = seed.page.section("unet").words
    assert "Copying suffices at scales 1, 2 and 4, down to 64×64 px." in words
    assert "At scales 8, 16 and 32 it does not: there, deeper features must contribute." in words
    assert "At no scale does copying give this much" in words


def test_the_words_for_any_p_follow_from_the_means(seed: Report) -> None:
    """What the script picks for p, against the rule itself: a level is explained if p is at most its mean."""
    outcomes = numbers_of(seed)["outcomes"]
    for p in np.arange(5, 40, 0.13):
        for name in INPUTS:
            text = next(text for limit, text in outcomes[name] if limit is None or p <= limit)
            able = [str(scale) for scale, mean in zip(SCALES, SEED[name], strict=True) if p <= mean]
            said = text.partition(".")[0].partition(", down")[0].partition(" (")[0] if able else "At no scale"
            assert text.startswith(said)
            told = said.replace(" and ", ", ").replace("scales", "scale").removeprefix("Copying suffices at scale ")
            assert told == (", ".join(able) if able else "At no scale"), (p, name, text)


def test_shares_are_of_all_pictures(seed: Report) -> None:
    """p = 20 dB: of the pictures whose PSNR lies evenly in mean ± 3 dB."""
    cells = {each.attributes["data-level"]: each for each in seed.page.all("td") if "data-level" in each.attributes}
    assert len(cells) == 18
    for name in INPUTS:
        for scale, mean in zip(SCALES, SEED[name], strict=True):
            share = np.clip((mean + 3 - 20) / 6, 0, 1) if np.isfinite(mean) else 1.0
            told = cells[f"{name} {scale}"].words.split()
            assert float(told[-2]) == pytest.approx(100 * share, abs=1.5), (name, scale)
            assert cells[f"{name} {scale}"].attributes["class"] == ("copy" if mean >= 20 else "deeper")


def test_what_stands_out(seed: Report) -> None:
    found = [each.words for each in seed.page.section("results").all("li")]
    assert found == [
        "True falls from 24.61 dB at scale 2 to 14.57 dB at scale 32: 2.51 dB for every doubling of the scale.",
        "Gray lies 5.96 dB below true at scale 2 and 0.83 dB below it at scale 32:"
        " the coarser the level, the less colour matters.",
        "Mosaic hardly changes up to scale 16 (15.58 to 15.17 dB), the size of its own cells;"
        " at scale 32 it falls to 14.22 dB.",
    ]
