"""Style transfer: the content of a photograph in the style of another picture (Gatys, Ecker, Bethge, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kernels.features.kinds import KINDS, LITE0_LAYERS, VGG19_LAYERS
from kernels.spec import (
    Choice,
    Integer,
    Number,
    ParameterError,
    State,
    Steps,
    Task,
    Values,
    Weights,
    task,
)
from kernels.style_color import COLORS
from kernels.style_presets import CONVENTIONS, OPTIMIZERS, PRESETS

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
    from kernels.style_pictures import shape_at

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
def style_transfer(inputs: Mapping[str, Tensor], state: State, **given: Any) -> Steps:
    """What is in `content`, painted as `style` is. It has the size of `content`, or `size`.

    A picture is sought whose features in a network are those of the content, and their correlations those of the style.
    """
    from kernels.style_run import run  # loaded where it runs: the daemon and its commands only read the parameters

    return run(inputs, state, **given)
