"""Style transfer at work: the network loaded, sizes planned, the picture sought and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kernels import style_memory
from kernels.features.kinds import RANDOM
from kernels.features.networks import WeightsMissing, choose, identity, judge_of, load
from kernels.spec import Progress, Result, State, Steps
from kernels.style_objective import Recipe
from kernels.style_pictures import Pictures, channels_of, shape_at, sized
from kernels.style_plan import Size, plan, sizes
from kernels.style_presets import Settings, settings
from kernels.style_quality import distances
from kernels.style_search import Search, search

if TYPE_CHECKING:
    from torch import Tensor


def run(
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
    """As `kernels.style_transfer` says, whose parameters these are."""
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
    # The search is over: what it leaves in the heap is not of the sizes that judging needs.
    taken = state["search"]["taken"]
    yield Progress(taken, taken, {}, lambda: picture, 1.0)
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
