"""Restoring a picture by a network that was trained on nothing else (Ulyanov, Vedaldi, Lempitsky, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from kernels import prior_plan, prior_stop
from kernels.backend import torch
from kernels.prior_inputs import along, kept_part, needed, refuse_size, start_from
from kernels.prior_network import Network
from kernels.prior_observation import colors_of
from kernels.prior_plan import Plan
from kernels.prior_presets import DEFAULT_FACTOR, INPAINTING, JOBS, PRESETS, SIZES, Settings, settings
from kernels.prior_search import Found, Search, search
from kernels.prior_training import FIXED, HELD_OUT, VARIANCE, Training
from kernels.spec import Choice, Flag, Integer, Number, ParameterError, Result, State, Steps, Task, Values, task

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS = ("auto", "float32", "bfloat16")
STOPS = ("auto", HELD_OUT, VARIANCE, FIXED)
AUTO = {"denoise": HELD_OUT, "jpeg": VARIANCE, "super_resolution": VARIANCE, "inpaint": HELD_OUT}
"""The signal by job. What JPEG does to a pixel it does to its neighbours too, so that held-out ones can be guessed; and
of a small picture nothing is left over to hold out."""
PATIENCE = 200
"""Steps."""
HELD_WHOLE = 28
"""Bytes for a pixel of the result: the canvas, its copy and what it is shown by (6 each), what it began as, the result
(3 each), and the mask."""
BESIDE = 6
"""Bytes for a pixel of before and after side by side."""
SAVINGS = ("half of the memory that was free", "a quarter of the memory that was free")


def _consistent(values: Values) -> None:
    """Some parameters are about one job alone."""
    job, preset = values["job"], str(values["preset"])
    if "factor" in values and job != "super_resolution":
        raise ParameterError(
            "factor goes with job: super_resolution", "remove it, or write job: super_resolution", "factor"
        )
    if values["stop"] == HELD_OUT and AUTO[str(job)] != HELD_OUT:
        raise ParameterError("held_out goes with denoise and inpaint", f"give one of auto, {VARIANCE}, {FIXED}", "stop")
    if preset in INPAINTING and job != "inpaint":
        raise ParameterError(
            f"the preset {preset} is for job: inpaint", f"give one of {', '.join(PRESETS[:2])}", "preset"
        )


def _size(values: Values, height: int, width: int) -> tuple[int, int]:
    given = values.get("factor")
    assert given is None or isinstance(given, int)
    factor = _factor(str(values["job"]), given)
    return height * factor, width * factor


def _factor(job: str, given: int | None) -> int:
    """How many times as large the result is."""
    return (given or DEFAULT_FACTOR) if job == "super_resolution" else 1


@task(
    "deep_image_prior",
    Task(
        inputs=("picture",),
        savings=SAVINGS,
        beside=("compare",),
        plans=True,
        optional={"mask": ("job", "inpaint")},
        transparency="mask",
        result_size=_size,
    ),
    check=_consistent,
    job=Choice("denoise", JOBS, doc="what is wrong with the picture"),
    factor=Integer(None, low=2, high=8, doc="how many times as large super_resolution makes it; by default 4"),
    preset=Choice("fast", PRESETS, doc="whose settings: ours, the authors' for the job, or theirs for what is missing"),
    size=Choice(None, SIZES, doc="of the network; small has half the channels; by default small only for fast"),
    stop=Choice("auto", STOPS, doc="what ends it before iterations: a signal, by default the job's, or nothing"),
    iterations=Integer(None, low=1, high=100_000, unit="steps", doc="at most; by default the preset's"),
    patience=Integer(PATIENCE, low=10, high=100_000, unit="steps", doc="without a lesser signal, before it is stopped"),
    learning_rate=Number(None, low=1e-5, high=1, doc="length of a step; by default the preset's"),
    jitter=Number(None, low=0, high=1, doc="of the noise at each step; more is slower and smoother"),
    precision=Choice("auto", PRECISIONS, doc="auto: bfloat16 where the machine computes in it"),
    seed=Integer(0, low=0, high=2**31 - 1, doc="of the noise and of the network"),
    compare=Flag(False, doc="a further picture that shows before and after side by side"),
)
def deep_image_prior(
    inputs: Mapping[str, Tensor],
    state: State,
    *,
    job: str,
    preset: str,
    stop: str,
    patience: int,
    precision: str,
    seed: int,
    compare: bool,
    memory: int,
    factor: int | None = None,
    size: str | None = None,
    thrift: int = 0,
    **given: Any,
) -> Steps:
    """`picture` without its noise, JPEG artefacts or holes, or `factor` times as large.

    A network that is fed noise is trained to give the one picture. It learns what pictures have before it learns what
    spoils them, and is stopped between the two. For inpaint the white part of `mask` is kept, or what is not
    transparent.
    """
    picture, mask = inputs["picture"], inputs.get("mask")
    factor = _factor(job, factor)
    kept = kept_part(picture, mask) if job == "inpaint" else None
    refuse_size(picture, factor, compare)
    stop = AUTO[job] if stop == "auto" else stop
    chosen = _chosen(settings(preset, job, factor, size), given)
    start = start_from(picture, kept, factor)
    colors, (height, width, _) = colors_of(start), start.shape
    if not state:
        kind = precision_for(picture.device) if precision == "auto" else precision
        held = sum(each.nbytes for each in inputs.values()) + (HELD_WHOLE + (BESIDE if compare else 0)) * height * width
        made = prior_plan.plan(
            height, width, held, factor, Network(chosen.shape, colors), kind, memory, memory >> thrift
        )
        state.update(plan=asdict(made), precision=kind, search={})
    planned = Plan(**state["plan"])
    tiles = needed(prior_plan.cut(height, width, planned.side, factor), kept)
    wanted = Search(
        picture, kept, start, factor, tiles,
        Training(chosen, state["precision"], seed, stop, patience, chosen.iterations), colors,
    )  # fmt: skip
    found = yield from search(wanted, state["search"])
    beside = {"compare": torch.cat((start, found.picture), along(height, width))} if compare else {}
    record = _record(found, planned, state["precision"])
    return Result(found.picture, record, beside, told=tuple(_told(found, wanted.training)))


def _chosen(preset: Settings, given: Mapping[str, Any]) -> Settings:
    """The preset's settings where no others are given."""
    names = {"learning_rate": "rate"}
    return replace(preset, **{names.get(name, name): value for name, value in given.items()})


def precision_for(device: torch.device) -> str:
    """The faster type that a device computes in, by name: bfloat16 takes ten times as long where it is emulated."""
    if device.type == "cuda":
        can = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu.get_capabilities()
        can = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return "bfloat16" if can else "float32"


def _record(found: Found, planned: Plan, precision: str) -> dict[str, float | int | str]:
    """What is worth knowing of a result."""
    return {
        "tiles": len(found.made),
        "least_at": round(sum(found.least) / len(found.least)),
        "taken_at": round(sum(found.taken) / len(found.taken)),
        "precision": precision,
        "memory_estimate": planned.memory >> 20,
    }


SIGNALS = {HELD_OUT: "the error of held-out pixels", VARIANCE: "the variance of its answers"}


def _told(found: Found, training: Training) -> Iterator[str]:
    """Why it stopped where it did."""
    of = (
        f"{training.iterations:,} in each of {len(found.made)} tiles"
        if len(found.made) > 1
        else f"{training.iterations:,}"
    )
    if training.stop == FIXED:
        yield f"stop: fixed, after all of {of}"
        return
    ended = "made all" if min(found.made) == training.iterations else f"stopped at {_span(found.made)}"
    if training.stop == VARIANCE and training.iterations <= prior_stop.LAG:
        yield f"{ended} of {of}: the variance does not count before step {prior_stop.LAG + 1}"
        return
    yield f"{ended} of {of}"
    yield f"{SIGNALS[training.stop]} was least at {_span(found.least)}"
    if found.taken != found.least:
        yield f"the picture is the average at {_span(found.taken)}"


def _span(steps: Sequence[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"
