"""Style transfer: the content of a photograph in the style of another picture (Gatys, Ecker, Bethge, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kernels import style_memory
from kernels.features import WeightsMissing, choose, identity, judge_of, load
from kernels.features.kinds import KINDS, LITE0_LAYERS, RANDOM, VGG19_LAYERS
from kernels.spec import (
    Choice,
    Integer,
    Number,
    ParameterError,
    Result,
    State,
    Steps,
    Task,
    Values,
    Weights,
    task,
)
from kernels.style_color import COLORS
from kernels.style_objective import CONVENTIONS, Recipe
from kernels.style_pictures import Pictures, channels_of, shape_at, sized
from kernels.style_plan import OPTIMIZERS, Size, plan, sizes
from kernels.style_presets import PRESETS, Settings, settings
from kernels.style_quality import distances
from kernels.style_search import Search, search

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = (*VGG19_LAYERS, *LITE0_LAYERS)
SAVINGS = ("half of the memory that was free", "a quarter of the memory that was free")


def _consistent(values: Values) -> None:
    """Layers of two networks, or of another one than is named, can never be had together. Numbers need their unit."""
    own = PRESETS[str(values.get("preset", "painting"))].convention
    if values.get("convention", own) != own and "strength" not in values:
        remedy = "give strength with it: a preset's own is meant for the preset's convention"
        raise ParameterError("convention is given without strength", remedy, "convention")
    kind = KINDS.get(str(values["network"]))
    for key in ("content_layers", "style_layers"):
        if key in values and not any(weight for _, weight in _pairs(values[key])):
            raise ParameterError("all of its weights are 0", "give one more than that", key)
        for name, _ in _pairs(values.get(key)):
            kind = kind or next(each for each in KINDS.values() if name in each.layers)
            if name not in kind.layers:
                remedy = f"its layers are {', '.join(kind.layers)}"
                raise ParameterError(f"{name} is not a layer of {kind.name}", remedy, key)


def _pairs(value: Any) -> Iterable[tuple[str, float]]:
    """Layers as they were parsed; none where none are given."""
    return value or ()


def _size(values: Values, height: int, width: int) -> tuple[int, int]:
    size = values.get("size")
    assert size is None or isinstance(size, int)
    return shape_at(height, width, size)


@task(
    "style_transfer",
    Task(inputs=("content", "style"), savings=SAVINGS, plans=True, result_size=_size),
    check=_consistent,
    preset=Choice("painting", tuple(PRESETS), doc="what every setting is that is left out"),
    strength=Number(None, low=0, high=1e9, doc="how much style counts against content, β/α"),
    network=Choice("auto", ("auto", *KINDS), doc="auto: the first that is here and has the layers named"),
    content_layers=Weights(None, LAYERS, low=0, high=1000, doc="by default those of the network"),
    style_layers=Weights(None, LAYERS, low=0, high=1000, doc="likewise"),
    color=Choice("style", COLORS, doc="luminance keeps the content's colours; match gives them to the style"),
    size=Integer(None, low=16, high=16384, unit="px", doc="longer side of the result; by default the content's"),
    iterations=Integer(
        None, low=1, high=100_000, unit="steps", doc="at the last size, and half as many at each before"
    ),
    sizes=Integer(None, low=1, high=12, doc="how many sizes, each twice the one before; by default from 96 px on"),
    palette=Number(None, low=0, high=1, doc="how far it begins with the style's colours, times its share"),
    noise=Number(None, low=0, high=1, doc="share of white noise in the picture it begins with; the rest is content"),
    seed=Integer(0, low=0, high=2**31 - 1, doc="of the noise"),
    total_variation=Number(None, low=0, high=1e9, doc="weight of the difference between neighbours; more is smoother"),
    style_scale=Number(1.0, low=0.1, high=10, doc="how large the style is seen: 2 makes its strokes twice as large"),
    optimizer=Choice(None, OPTIMIZERS, doc="auto: lbfgs, and adam for pictures too large for that"),
    learning_rate=Number(None, low=0.001, high=255, unit="levels", doc="length of adam's steps; lbfgs finds its own"),
    convention=Choice(None, CONVENTIONS, doc="what a strength means; see docs/style-transfer.md"),
)
def style_transfer(
    inputs: Mapping[str, Tensor],
    state: State,
    *,
    preset: str,
    network: str,
    color: str,
    seed: int,
    style_scale: float,
    memory: int,
    thrift: int = 0,
    size: int | None = None,
    **given: Any,
) -> Steps:
    """What is in `content`, painted as `style` is. It has the size of `content`, or `size`.

    A picture is sought whose features in a network are those of the content, and their correlations those of the style.
    """
    given |= {key: dict(given[key]) for key in ("content_layers", "style_layers") if key in given}
    if not (state and _still_here(state)):
        state.clear()
        name = choose(network, [*given.get("content_layers", ()), *given.get("style_layers", ())])
        state.update(network=name, identity=identity(name), plan=None, search={})
    name = state["network"]
    chosen = settings(preset, name, given)
    recipe = _recipe(chosen)
    trunk = load(name, recipe.layers, inputs["content"].device)
    height, width, _ = inputs["content"].shape
    shape = shape_at(height, width, size)
    if state["plan"] is None:  # before anything of that shape is made
        costs = style_memory.costs(inputs, shape, style_scale, channels_of(color), trunk, recipe.content)
        pixels = sizes(*shape, chosen.sizes)
        made = plan(pixels, chosen.iterations, costs, chosen.optimizer, memory, memory >> thrift)
        state["plan"] = [asdict(each) for each in made]
    planned = [Size(**each) for each in state["plan"]]
    style_memory.begin(trunk)
    pictures = Pictures(sized(inputs["content"], *shape), inputs["style"], color, style_scale)
    wanted = Search(
        pictures, recipe, trunk, planned, chosen.learning_rate, chosen.palette * recipe.style_share, chosen.noise, seed
    )
    picture = yield from search(wanted, state["search"])
    return Result(picture, _record(picture, pictures, name, chosen, state), told=tuple(_told(name)))


def _still_here(state: State) -> bool:
    """Whether the network of a state can be had, with the same weights."""
    try:
        return bool(identity(state["network"]) == state["identity"])
    except WeightsMissing:
        return False


def _recipe(chosen: Settings) -> Recipe:
    assert chosen.content_layers is not None and chosen.style_layers is not None
    return Recipe(
        chosen.strength, chosen.content_layers, chosen.style_layers, chosen.total_variation, chosen.convention
    )


def _told(name: str) -> Iterator[str]:
    """What belongs beside the result, for one who did not ask for this network."""
    yield f"through {name}"
    if name == RANDOM:
        yield "which was never trained: `darkroom weights` tells how to get a better one"


def _record(
    picture: Tensor, pictures: Pictures, name: str, chosen: Settings, state: State
) -> dict[str, float | int | str]:
    """What is worth knowing of a result; its quality also by a network that had no part in it."""
    content_loss, style_loss = state["search"]["terms"]
    record: dict[str, float | int | str] = {
        "network": name, "strength": chosen.strength, "convention": chosen.convention,
        "content_loss": content_loss, "style_loss": style_loss,
    }  # fmt: skip
    for prefix, judge in (("", name), ("judge_", judge_of(name))):
        if judge is None:
            continue
        with suppress(WeightsMissing):  # a damaged judge is none; the picture is done
            style, content = distances(judge, picture, pictures)
            record |= {f"{prefix}style_distance": style, f"{prefix}content_distance": content}
            record |= {"judge": judge} if prefix else {}
    record["memory_estimate"] = max(each["memory"] for each in state["plan"]) >> 20
    return record
