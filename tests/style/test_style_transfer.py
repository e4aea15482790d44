"""The task from outside: pictures and parameters in, a picture and its record out."""

from __future__ import annotations

import json
from collections import OrderedDict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels import style_grams
from kernels.chain import ChainError, canonical, describe, parse_chain
from kernels.features.kinds import LITE0, RANDOM
from kernels.spec import operators
from kernels.style_color import LUMA
from kernels.style_pictures import Pictures
from kernels.style_presets import PRESETS, settings
from tests.style.runs import PAIRS, pair, run, same
from tests.task_runs import started

QUICK: dict[str, Any] = {"iterations": 4}


@pytest.mark.parametrize("names", PAIRS, ids=["-".join(names) for names in PAIRS])
def test_more_strength_is_more_style_and_less_content(names: tuple[str, str]) -> None:
    """By the network that was minimised in; and by one that had no part in it, as soon as there is style to be seen."""
    records = [run(pair(names), strength=strength).record for strength in (10, 100, 1000, 10_000)]

    def told(name: str) -> list[float]:
        return [record[name] for record in records]

    assert falls(told("style_distance")) and told("style_distance")[0] < 1 and falls(told("content_distance")[::-1])
    assert falls(told("judge_style_distance")[1:]) and falls(told("judge_content_distance")[::-1])
    assert told("judge_style_distance")[3] < told("judge_style_distance")[0] / 2


def falls(values: list[float]) -> bool:
    """Strictly, from each to the next."""
    return all(after < before for before, after in pairwise(values))


def test_the_record() -> None:
    record = run(pair(), **QUICK).record
    assert record["network"] == LITE0 and record["judge"] == RANDOM
    assert (record["strength"], record["convention"]) == (PRESETS["painting"].strength, "relative")
    assert record["memory_estimate"] > 0 and record["content_loss"] > 0 < record["style_loss"]


def test_steps_and_shares_are_told() -> None:
    found = run(pair(height=200, width=150), **QUICK)
    assert {told.steps for told in found.told} == {6}
    assert [told.step for told in found.told] == [0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 6], "signs of life around each size"
    shares = [told.share for told in found.told if told.share is not None]
    assert shares == sorted(shares) and shares[-1] == 1 and shares[3] == pytest.approx(1 / 9, abs=0.01)
    assert list(found.losses[0]) == ["loss", "content_loss", "style_loss"]
    assert found.losses[1]["loss"] < found.losses[0]["loss"], "within a size the loss falls"
    assert found.losses[5]["loss"] < found.losses[2]["loss"]


def test_previews_have_the_size_of_the_result() -> None:
    inputs = pair(height=200, width=150)
    seen = list[tuple[int, ...]]()
    for progress in started("style_transfer", inputs, {}, **QUICK):
        seen.append(tuple(progress.preview().shape))
    assert set(seen) == {(200, 150, 3)}


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_works_without_a_vgg(preset: str) -> None:
    found = run(pair(), preset=preset, **QUICK)
    assert found.picture.shape == (96, 96, 3) and found.record["convention"] == "relative"
    assert found.record["strength"] == (PRESETS[preset].strength if preset != "seed" else PRESETS["painting"].strength)


def test_the_seed_preset_is_its_program() -> None:
    """5000 steps of Adam at one size, half white noise, the layers and the strength of the article's program."""
    chosen = settings("seed", "vgg19", {})
    assert (chosen.iterations, chosen.noise, chosen.sizes, chosen.optimizer) == (5000, 0.5, 1, "adam")
    assert (chosen.strength, chosen.convention, chosen.learning_rate) == (100, "seed", 2)
    assert chosen.content_layers == {"conv4_2": 1}
    assert chosen.style_layers == {f"conv{scale}_1": 1 for scale in range(1, 6)}


def test_luminance_keeps_the_chroma_to_the_last_bit() -> None:
    inputs = pair(("coffee", "chelsea"), 120, 160)
    picture, content = (
        each.numpy().astype(int) for each in (run(inputs, color="luminance").picture, inputs["content"])
    )
    assert (np.diff(picture, axis=2) == np.diff(content, axis=2)).all(), "R − G and G − B are the chroma"
    assert np.abs(chroma(picture) - chroma(content)).max() <= 1 / 255
    assert np.abs(picture - content).mean() > 4, "and yet it is another picture"


def chroma(picture: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cb and Cr on the scale 0..1, ITU-R BT.601."""
    levels = picture / 255
    luma = levels @ np.array(LUMA)
    return np.stack([(levels[..., 2] - luma) / 1.772, (levels[..., 0] - luma) / 1.402], -1)


def test_match_gives_the_palette_of_the_content() -> None:
    inputs = pair(("coffee", "chelsea"), 128, 128)
    content = inputs["content"]

    def off(picture: Tensor) -> float:
        return float((picture.float().mean((0, 1)) - content.float().mean((0, 1))).abs().max())

    plain, matched = run(inputs, strength=1000).picture, run(inputs, strength=1000, color="match").picture
    assert off(matched) < off(plain) / 2


@pytest.mark.parametrize(("size", "shape"), [(None, (90, 130, 3)), (65, (45, 65, 3)), (260, (180, 260, 3))])
def test_size(size: int | None, shape: tuple[int, ...]) -> None:
    chosen: dict[str, Any] = {} if size is None else {"size": size}
    assert tuple(run(pair(height=90, width=130), **chosen, **QUICK).picture.shape) == shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 17)])
def test_tiny_pictures(shape: tuple[int, int]) -> None:
    found = run(pair(height=shape[0], width=shape[1]), **QUICK)
    assert tuple(found.picture.shape) == (*shape, 3) and all(np.isfinite(loss["loss"]) for loss in found.losses)


def test_a_picture_in_its_own_style_and_one_of_a_single_color() -> None:
    photo = pair()["content"]
    own = run({"content": photo, "style": photo}, **QUICK)
    assert (own.picture.int() - photo.int()).abs().float().mean() < 6
    flat = torch.full((64, 64, 3), 128, dtype=torch.uint8)
    for inputs in ({"content": flat, "style": photo}, {"content": photo, "style": flat}):
        for color in ("style", "luminance", "match"):
            assert torch.isfinite(
                torch.tensor([loss["loss"] for loss in run(inputs, color=color, **QUICK).losses])
            ).all()


def test_what_a_coarser_size_has_changed_is_carried_over() -> None:
    """The content's own detail is there from the start: where nothing was changed the next size begins with it."""
    pictures = Pictures(pair(height=96, width=120)["content"], pair()["style"], "style", 1.0)
    coarse, content = pictures.content_at(48, 60), pictures.content_at(96, 120)
    assert torch.allclose(pictures.refined(coarse, content), content, atol=1e-3)
    darker = pictures.refined(coarse - 20, content.clamp(20, 255))
    assert torch.allclose(darker, content.clamp(20, 255) - 20, atol=1e-3)


def test_a_style_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By jobs of one size, however many."""
    monkeypatch.setattr(style_grams, "_grams", OrderedDict())
    run(pair(), **QUICK)
    made = list(style_grams._grams)
    run(pair(("chelsea", "coffee")), **QUICK)
    assert list(style_grams._grams) == made


def test_noise_is_of_its_seed() -> None:
    inputs = pair()
    one, again, other = (run(inputs, noise=0.5, seed=seed, **QUICK).picture for seed in (1, 1, 2))
    assert same(one, again) and not same(one, other)


def test_layers_can_be_chosen() -> None:
    """Colours alone: with the first layer for style, and little else."""
    found = run(pair(), style_layers={"stem": 1}, content_layers={"block2": 2, "block7": 0.5}, **QUICK)
    assert found.record["network"] == LITE0
    with_vgg_layers = run(
        pair(height=48, width=48), content_layers={"conv2_1": 1}, style_layers={"conv1_1": 1}, **QUICK
    )
    assert with_vgg_layers.record["network"] == RANDOM, "the first that is here and has them"


@pytest.mark.parametrize(
    ("parameters", "where", "what"),
    [
        ({"content_layers": {"conv9_9": 1}}, "content_layers", "not known; did you mean conv5_4?"),
        (
            {"content_layers": {"block7": 1}, "style_layers": {"conv1_1": 1}},
            "style_layers",
            "conv1_1 is not a layer of",
        ),
        ({"network": "vgg19", "style_layers": {"stem": 1}}, "style_layers", "stem is not a layer of vgg19; its layers"),
        ({"style_layers": {"stem": -1}}, "style_layers", "-1 is out of range; give 0–1000"),
        ({"style_layers": {}}, "style_layers", "nothing stands there; give {name: 0–1000, …}"),
        ({"style_layers": ["stem"]}, "style_layers", "is not a mapping of names to numbers"),
        ({"style_layers": {"stem": 0}}, "style_layers", "all of its weights are 0"),
        ({"style_layers": [["stem", 1], ["stem", 2]]}, "style_layers", "'stem' stands there twice; name it once"),
        ({"convention": "seed"}, "convention", "convention is given without strength; give strength with it"),
        ({"style_layers": 3}, "style_layers", "3 is not a mapping of names to numbers"),
        ({"network": "vgg16"}, "network", "did you mean vgg19?"),
        ({"strength": -1}, "strength", "out of range"),
        ({"color": "match", "noise": 2}, "noise", "out of range"),
    ],
)
def test_faults_say_where_and_what(parameters: dict[str, object], where: str, what: str) -> None:
    with pytest.raises(ChainError) as caught:
        parse_chain({"style_transfer": parameters})
    (fault,) = caught.value.faults
    assert fault.path[-1] == where and what in f"{fault.problem}; {fault.remedy}"


def test_layers_survive_being_written_down() -> None:
    """As the ledger and the message to a worker hold a chain."""
    chain = parse_chain({"style_transfer": {"style_layers": {"block4": 2, "stem": 0.5}}})
    assert parse_chain(json.loads(canonical(chain))) == chain
    assert "style_layers: {stem: 0.5, block4: 2}" in describe(chain)


def test_how_large_it_will_be() -> None:
    """What no format could hold is judged by that, not by the content."""
    task = operators()["style_transfer"].task
    assert task is not None
    assert task.size({"size": 800}, 2000, 20000) == (80, 800) and task.size({}, 20, 30) == (20, 30)
