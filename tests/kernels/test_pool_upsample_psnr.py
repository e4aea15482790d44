"""The study's numbers against the definition in float64, scikit-image's metric and Pillow's resize."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio

from export.graph import INPUT
from export.parity import measure, open_session
from kernels.chain import Chain, parse_chain
from kernels.measuring import Finding, decibels, output_name
from tests.kernels import references as reference
from tests.kernels.references import Array, Bytes
from tests.kernels.studied import Numbers, computed, findings, measured, noise, numbers, original, photographs, shrunk

STEP = "pool_upsample_psnr"
SCALES = (1, 2, 4, 8, 16, 32)
PARTIAL = (3, 20, 100, 300)
INPUTS = ("true", "gray", "mosaic")
SIDE = np.arange(256)

Study = Callable[[Bytes], list[Finding]]


@pytest.fixture(scope="module")
def pictures() -> Bytes:
    return photographs()


@pytest.fixture(scope="session")
def chain() -> Chain:
    return parse_chain(STEP)


@pytest.fixture(scope="session")
def graph(exported: Callable[[object], Path]) -> Path:
    """The graph of the study as it is by default."""
    return exported(STEP)


@pytest.fixture(scope="session")
def study(chain: Chain, graph: Path) -> Study:
    """What that graph, run by ONNX Runtime, finds in a batch of pictures."""
    session, name = open_session(graph), output_name(0)

    def run(batch: Bytes) -> list[Finding]:
        return findings(chain, {name: session.run([name], {INPUT: batch})[0]})

    return run


@pytest.fixture(scope="module")
def table(chain: Chain, study: Study, pictures: Bytes) -> list[Numbers]:
    """The study of the twenty photographs, in one batch."""
    return [numbers(chain, found) for found in study(pictures)]


def expected(picture: Bytes, scales: tuple[int, ...] = SCALES) -> Numbers:
    return {key: decibels(mse) for key, mse in reference.study_errors(picture, scales).items()}


def apart(given: Numbers, wanted: Numbers) -> float:
    """The greatest difference in decibels; infinite in one alone is infinitely far off."""
    assert given.keys() == wanted.keys()
    return max(0 if given[key] == wanted[key] else abs(given[key] - wanted[key]) for key in wanted)


# -- photographs -----------------------------------------------------------------------------------------------------


def test_photographs_are_measured_as_the_definition_reads(pictures: Bytes, table: list[Numbers]) -> None:
    assert len(table) == 20
    for picture, row in zip(pictures, table, strict=True):
        assert apart(row, expected(picture)) < 1e-5  # 0.01 is asked for


def test_photographs_are_measured_as_scikit_image_does(pictures: Bytes, table: list[Numbers]) -> None:
    """Its metric on pictures that are really enlarged; SciPy's Gaussian, which calls this border "mirror"."""
    luma = np.repeat([[0.299], [0.587], [0.114]], 3, axis=1)
    for picture, row in zip(pictures, table, strict=True):
        true = picture / 255
        small = true.reshape(16, 16, 16, 16, 3).mean((1, 3))
        blurred = gaussian_filter(np.kron(small, np.ones((16, 16, 1))), (4, 4, 0), mode="mirror", truncate=4)
        for name, values in {"true": true, "gray": true @ luma, "mosaic": blurred}.items():
            for scale in SCALES:
                cells = values.reshape(256 // scale, scale, 256 // scale, scale, 3).mean((1, 3))
                if (name, scale) == ("true", 1):
                    assert row[name, scale] == math.inf
                    continue
                wanted = peak_signal_noise_ratio(true, np.kron(cells, np.ones((scale, scale, 1))), data_range=1)
                assert row[name, scale] == pytest.approx(wanted, abs=1e-5)


def test_photographs_give_a_table_of_the_seeds_shape(table: list[Numbers]) -> None:
    """Its data set cannot be had; but gray closes on true, and mosaic stays where it is to 16 and falls at 32."""
    mean = {key: float(np.mean([row[key] for row in table])) for key in table[0]}
    true, gray, mosaic = ([mean[name, scale] for scale in SCALES] for name in INPUTS)
    assert true[0] == math.inf
    assert all(np.diff(true[1:]) < 0) and all(np.diff(gray) < 0)
    assert all(np.diff(np.subtract(true, gray)[1:]) < 0)
    assert mosaic[0] - mosaic[4] < mosaic[4] - mosaic[5]
    assert mosaic[0] - mosaic[3] < 0.3 and mosaic[4] - mosaic[5] > 0.5
    for row in table:
        assert all(row["true", scale] > row[name, scale] for scale in SCALES for name in ("gray", "mosaic"))


def test_a_picture_has_the_numbers_it_has_alone(study: Study, pictures: Bytes) -> None:
    together = study(pictures[:3])
    for picture, found in zip(pictures, together, strict=False):
        (alone,) = study(picture[None])
        assert alone.mse == pytest.approx(found.mse, rel=1e-6)


# -- pictures at the edge of the definition ----------------------------------------------------------------------------


def cells_of_16(seed: int) -> Bytes:
    return noise(16, 16, seed).repeat(16, 0).repeat(16, 1)


def flat(*colour: int) -> Bytes:
    return np.full((256, 256, 3), colour, np.uint8)


def test_a_mosaic_is_identical_to_itself_up_to_its_own_scale(chain: Chain, study: Study) -> None:
    (found,) = study(cells_of_16(1)[None])
    given = numbers(chain, found)
    assert [given["true", scale] for scale in SCALES[:5]] == [math.inf] * 5
    assert apart(given, _identical(expected(cells_of_16(1)))) < 1e-5


def _identical(wanted: Numbers) -> Numbers:
    """Means of equal values may be a last bit off in float64: 140 dB and more is identity."""
    return {key: math.inf if value > 140 else value for key, value in wanted.items()}


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (77, 77, 77), (1, 1, 1), (254, 254, 254)], ids=str)
def test_a_flat_gray_picture_is_identical_to_all(chain: Chain, study: Study, colour: tuple[int, int, int]) -> None:
    (found,) = study(flat(*colour)[None])
    assert set(numbers(chain, found).values()) == {math.inf}
    assert found.unwanted == "gray: channel correlation 1.000 ≥ 0.995"


@pytest.mark.parametrize("colour", [(201, 77, 13), (255, 0, 0), (0, 0, 1)], ids=str)
def test_a_flat_colour_loses_nothing_but_its_colour(chain: Chain, study: Study, colour: tuple[int, int, int]) -> None:
    (found,) = study(flat(*colour)[None])
    given = numbers(chain, found)
    assert {given[name, scale] for name in ("true", "mosaic") for scale in SCALES} == {math.inf}
    assert apart(given, _identical(expected(flat(*colour)))) < 1e-5
    assert found.unwanted is None


def test_a_gray_picture_has_the_same_numbers_in_gray(chain: Chain, study: Study, pictures: Bytes) -> None:
    (found,) = study(np.repeat(pictures[:1, ..., 1:2], 3, axis=3))
    given = numbers(chain, found)
    assert [given["gray", scale] for scale in SCALES] == [given["true", scale] for scale in SCALES]
    assert given["gray", 1] == math.inf and given["gray", 2] < 60


EDGES: dict[str, Bytes] = {
    "noise": noise(256, 256),
    "one pixel": np.where((SIDE == 100)[:, None, None] & (SIDE == 31)[:, None], 202, flat(201, 201, 201)).astype(
        np.uint8
    ),
    "checkers": np.where((SIDE[:, None] + SIDE) % 2 == 0, 255, 0)[..., None].repeat(3, 2).astype(np.uint8),
    "stripes": np.where(SIDE[:, None, None] % 3 == 0, (0, 128, 255), (255, 9, 1)).repeat(256, 1).astype(np.uint8),
    "red alone": shrunk(original("astronaut")) * np.array([1, 0, 0], np.uint8),
    # Smooth pictures: the mosaic's error is a millionth of what it is the difference of.
    "ramp": np.stack(np.broadcast_arrays(SIDE[:, None], SIDE, (SIDE[:, None] + SIDE) // 2), 2).astype(np.uint8),
    "sky": np.rint(200 + 7 * np.sin(SIDE[:, None, None] / (80, 90, 100)) + SIDE[:, None] / 99).astype(np.uint8),
}


@pytest.mark.parametrize("name", EDGES)
def test_pictures_that_are_no_photographs(chain: Chain, study: Study, name: str) -> None:
    (found,) = study(EDGES[name][None])
    assert apart(numbers(chain, found), _identical(expected(EDGES[name]))) < 5e-3


@pytest.mark.parametrize("contrast", [0.5, 1, 2, 4, 8, 70])
def test_smooth_pictures_differ_by_what_float32_rounds_off(chain: Chain, study: Study, contrast: float) -> None:
    """Here the mosaic comes near the picture, and its error is the small difference of large sums."""
    waves = np.sin(SIDE[:, None, None] / (80, 90, 100)) + np.cos(SIDE[:, None] / (95, 85, 110))
    picture = np.rint(180 + contrast / 2 * waves).astype(np.uint8)
    (found,) = study(picture[None])
    wanted = list(reference.study_errors(picture, SCALES).values())
    assert found.mse == pytest.approx(wanted, rel=1e-6, abs=3e-9)
    assert apart(numbers(chain, found), _identical(expected(picture))) < 0.01


# -- partial cells and other sizes -------------------------------------------------------------------------------------


def test_scales_that_do_not_divide_the_size(pictures: Bytes) -> None:
    """The last cells are means of what is left; a scale beyond the size is the mean of all."""
    some = [*pictures[:3], EDGES["noise"], EDGES["sky"]]
    steps = {STEP: {"scales": list(PARTIAL), "color_only": False}}
    for picture, given in zip(some, measured(steps, *some), strict=True):
        assert apart(given, expected(picture, PARTIAL)) < 1e-4


@pytest.mark.parametrize("size", [2, 16, 17, 33, 50])
def test_sizes_that_cells_of_16_do_not_divide(pictures: Bytes, size: int) -> None:
    """Down to those that 33 taps cannot mirror as far as they reach; they are one cell."""
    scales = (1, 3, 16, 20, 100)
    picture = np.ascontiguousarray(pictures[0, 60 : 60 + size, 90 : 90 + size])
    (given,) = measured({STEP: {"scales": list(scales), "size": size}}, picture)
    assert apart(given, _identical(expected(picture, scales))) < 1e-5


def test_a_large_smooth_picture() -> None:
    """Errors of float32 sums would grow with the size: this one was 0.04 dB off once."""
    side = np.arange(1024) / 4
    ramp = np.rint(100 + np.stack(np.broadcast_arrays(side[:, None], side, (side[:, None] + side) / 2), 2))
    picture = ramp.clip(0, 255).astype(np.uint8)
    (given,) = measured({STEP: {"scales": [1, 8], "size": 1024}}, picture)
    assert apart(given, expected(picture, (1, 8))) < 1e-3


def test_large_cells_are_summed_exactly() -> None:
    """Sums over more than 256 × 256 pixels do not fit float32: a flat picture was not identical to itself once."""
    picture = np.full((600, 600, 3), (201, 77, 13), np.uint8)
    (given,) = measured({STEP: {"scales": [257, 509, 512, 599], "size": 600, "inputs": [True, "mosaic"]}}, picture)
    assert set(given.values()) == {math.inf}
    (given,) = measured({STEP: {"scales": [509, 512], "size": 600}}, noise(600, 600))
    assert apart(given, expected(noise(600, 600), (509, 512))) < 1e-5


# -- pictures that are resized first -----------------------------------------------------------------------------------

LARGER = ("astronaut", "chelsea", "coffee", "rocket", "retina")


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_picture_is_first_resized_as_pillow_does(chain: Chain, study: Study, name: str) -> None:
    """Pillow's own filter in float32, rounded once, at the end, as the step does."""
    (found,) = study(original(name)[None])
    channels = [Image.fromarray(original(name)[..., c].astype(np.float32)) for c in range(3)]
    resized = [np.asarray(c.resize((256, 256), Image.Resampling.LANCZOS), np.float64) for c in channels]
    wanted = expected(reference.to_bytes(np.stack(resized, 2)))
    assert apart(numbers(chain, found), wanted) < 1e-3


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_picture_agrees_with_one_that_pillow_has_saved(chain: Chain, study: Study, name: str) -> None:
    """Pillow rounds bytes between its two passes as well.

    That is noise of 1/12 of a squared level, an error of 1.3e-6: nothing at 20 dB and 0.01 dB at 33 dB, which no number
    here exceeds. A smoother picture may differ by more. Measured: 0.0084 dB, the retina's `true` at scale 2.
    """
    (found,) = study(original(name)[None])
    assert apart(numbers(chain, found), expected(shrunk(original(name)))) < 0.01


def test_both_ways_through_the_graph_agree_with_pytorch(chain: Chain, graph: Path) -> None:
    """A picture of the study's size is taken as it is, any other is resized; the graph holds both ways."""
    sizes = [(256, 256), (256, 255), (255, 256), (1, 1), (300, 256), (256, 300), (1, 256), (256, 1), (257, 257)]
    cases = [(batch, *size) for size in sizes for batch in (1, 3)]
    report = measure(chain, graph, cases)
    assert len(report.comparisons) == len(cases)
    assert report.passed, report.table()


def test_a_picture_of_the_size_is_not_resampled(chain: Chain, study: Study) -> None:
    """Its own pixels, to the last: Lanczos onto the same grid would give them too, but not if they were off by one."""
    picture = noise(256, 256, 5)
    taller = np.concatenate((picture, picture[:1]))
    assert apart(numbers(chain, study(picture[None])[0]), expected(picture)) < 1e-5
    assert apart(numbers(chain, study(taller[None])[0]), expected(picture)) > 0.1


# -- gray pictures -----------------------------------------------------------------------------------------------------


def blended(picture: Bytes, colour: float) -> Bytes:
    """The picture with only a part of its colour."""
    levels = picture.astype(np.float64)
    return reference.to_bytes(reference.grayscale(levels) * (1 - colour) + levels * colour)


def correlations(pictures: Bytes) -> Array:
    rows: Array = computed(parse_chain(STEP), pictures)[output_name(0)][:, -1].astype(np.float64)
    return rows


def test_correlation_is_numpys(pictures: Bytes) -> None:
    given = correlations(pictures)
    assert given == pytest.approx([reference.correlation(picture) for picture in pictures], abs=1e-6)
    assert len(set(given)) == len(pictures)


@pytest.mark.parametrize(
    ("channels", "wanted"),
    [
        ("f f f", 1.0),  # flat and equal
        ("f g f", (3 + 2) / 9),
        ("f g h", 3 / 9),
        ("x 0 0", (3 + 2) / 9),  # a channel with contrast has none in common with a flat one
        ("x x f", (3 + 2) / 9),
        ("x x x", 1.0),
    ],
)
def test_correlation_where_numpy_has_none(pictures: Bytes, channels: str, wanted: float) -> None:
    known = {"f": np.full((256, 256), 9), "g": np.full((256, 256), 8), "h": np.full((256, 256), 7)}
    known |= {"0": np.zeros((256, 256), int), "x": pictures[0, ..., 0].astype(int)}
    picture = np.stack([known[channel] for channel in channels.split()], 2).astype(np.uint8)
    assert correlations(picture[None]) == pytest.approx([wanted], abs=1e-6)


def test_gray_pictures_are_unwanted_and_the_reason_says_how_gray(study: Study, pictures: Bytes) -> None:
    seen = set[str | None]()
    for colour in (0, 0.06, 0.12, 0.18, 0.21, 0.3, 1):  # correlations of 1, …, 0.998, 0.996, and then 0.9948
        picture = blended(pictures[0], colour)
        correlation = reference.correlation(picture)
        (found,) = study(picture[None])
        wanted = f"gray: channel correlation {correlation:.3f} ≥ 0.995" if correlation >= 0.995 else None
        assert found.unwanted == wanted
        seen.add(found.unwanted)
    assert {None, "gray: channel correlation 0.998 ≥ 0.995"} <= seen and len(seen) == 4


def test_all_pictures_count_where_colour_is_not_asked_for(pictures: Bytes) -> None:
    gray = blended(pictures[0], 0)
    found = {}
    for color_only in (True, False):
        chain = parse_chain({STEP: {"color_only": color_only}})
        (found[color_only],) = findings(chain, computed(chain, gray[None]))
    assert found[True].unwanted and not found[False].unwanted
    assert found[True].mse == found[False].mse


def test_the_true_picture_is_what_the_steps_before_have_made(pictures: Bytes) -> None:
    chain = parse_chain(["grayscale", {STEP: {"scales": [1, 8]}}])
    (found,) = findings(chain, computed(chain, pictures[:1]))
    luma = np.rint(pictures[0].astype(int) @ [299, 587, 114] / 1000)  # in whole numbers: the ties are exact
    gray = luma[..., None].repeat(3, 2).astype(np.uint8)
    assert apart(numbers(chain, found), _identical(expected(gray, (1, 8)))) < 1e-5
    assert found.unwanted
