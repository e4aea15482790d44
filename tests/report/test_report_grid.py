"""The pictures in a page, taken out of it again: pooled as an independent computation pools them."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from kernels.spec import Series
from tests.box import Pixels
from tests.report.studies import Element, Report, grid_of, make_study, seed_errors, written


def reference(photograph: Pixels, size: int) -> dict[str, NDArray[np.float64]]:
    """The three inputs of the study, computed independently: H×W×3 levels."""
    true = np.array(Image.fromarray(photograph).resize((size, size), Image.Resampling.LANCZOS), float)
    gray = np.repeat((true @ (0.299, 0.587, 0.114))[..., None], 3, axis=2)
    coarse = enlarged(pooled(true, 16), 16, size)
    mosaic = ndimage.gaussian_filter(coarse, (4, 4, 0), mode="mirror", truncate=4)
    return {"true": true, "gray": gray, "mosaic": mosaic}


def pooled(picture: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    starts = range(0, len(picture), scale)
    rows = [[picture[y : y + scale, x : x + scale].mean((0, 1)) for x in starts] for y in starts]
    return np.array(rows)


def enlarged(small: NDArray[np.float64], scale: int, size: int) -> NDArray[np.float64]:
    return np.asarray(np.kron(small, np.ones((scale, scale, 1)))[:size, :size], np.float64)


def pixels_of(image: Element) -> Pixels:
    source = image.attributes["src"]
    assert source is not None and source.startswith("data:image/")
    data = base64.b64decode(source.partition(",")[2], validate=True)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded.shape[:2] == (int(image.attributes["height"] or 0), int(image.attributes["width"] or 0))
    return np.asarray(decoded, np.uint8)


def images(report: Report) -> dict[str, Element]:
    return {image.attributes["alt"] or "": image for image in report.page.section("pictures").all("img")}


def test_each_cell_is_its_input_pooled(tmp_path: Path, photograph: Pixels) -> None:
    found = images(written(tmp_path, make_study(seed_errors(1)), lambda _: photograph))
    inputs = reference(photograph, 256)
    assert set(found) == {f"{each.input}, pooled by {each.scale}" for each in grid_of()}
    for each in grid_of():
        scale = each.scale or 1
        difference = pixels_of(found[f"{each.input}, pooled by {scale}"]) - pooled(inputs[each.input], scale)
        if scale >= 4:  # a PNG: exact up to rounding
            assert np.abs(difference).max() <= 0.51, each
        else:
            assert np.sqrt((difference**2).mean()) < 8, each


@pytest.mark.parametrize(("size", "scale"), [(100, 16), (256, 3), (50, 64)])
def test_partial_cells_are_cut_off_by_the_frame(tmp_path: Path, photograph: Pixels, size: int, scale: int) -> None:
    study = make_study(np.full((1, 1), 0.01), (Series("true", scale),), size=size)
    (image,) = images(written(tmp_path, study, lambda _: photograph)).values()
    cells = -(-size // scale)
    assert image.attributes["width"] == image.attributes["height"] == str(cells)
    width = float((image.attributes["style"] or "").removeprefix("width: ").removesuffix("%"))
    assert width == pytest.approx(100 * cells * scale / size, abs=0.001)
    if cells <= 64:
        expected = pooled(reference(photograph, size)["true"], scale)
        assert np.abs(pixels_of(image) - expected).max() <= 0.51


def test_no_picture_is_larger_than_it_is_shown(tmp_path: Path, photograph: Pixels) -> None:
    study = make_study(np.full((1, 3), 0.01), grid_of(["true"], [1, 2, 4]), size=1024)
    found = images(written(tmp_path, study, lambda _: photograph))
    assert [pixels_of(image).shape for image in found.values()] == [(256, 256, 3)] * 3


def test_a_rule_with_psnr_alone_shows_its_sources(tmp_path: Path, photograph: Pixels) -> None:
    study = make_study(np.full((1, 1), 0.01), (Series("mosaic"),), size=None)
    (image,) = images(written(tmp_path, study, lambda _: photograph[:, :256])).values()
    assert pixels_of(image).shape == (256, 128, 3)


def test_a_tiny_source_is_not_enlarged(tmp_path: Path) -> None:
    study = make_study(np.full((1, 1), 0.01), (Series("mosaic"),), size=None)
    (image,) = images(written(tmp_path, study, lambda _: np.full((1, 3, 3), 7, np.uint8))).values()
    assert np.array_equal(pixels_of(image), np.full((1, 3, 3), 7))


def test_an_input_nobody_knows_has_numbers_only(tmp_path: Path, photograph: Pixels) -> None:
    study = make_study(np.full((1, 2), 0.01), (Series("true", 2), Series("sepia", 2)))
    report = written(tmp_path, study, lambda _: photograph)
    assert list(images(report)) == ["true, pooled by 2"]
    assert report.page.section("pictures").words.count("20.00") == 3  # in the heading, and under either cell
