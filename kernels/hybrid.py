"""The hybrid picture: near you see one picture, from far away another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from kernels.gaussian import gaussian_taps
from kernels.hybrid_fit import FITS, fit_far
from kernels.hybrid_loss import Recipe
from kernels.hybrid_quality import far_psnr, near_correlation
from kernels.hybrid_search import Found, Path, Search, gradient_descent, lbfgs
from kernels.hybrid_start import STARTS
from kernels.spec import Choice, Flag, Integer, IntegerOrAuto, Number, Progress, Result, State, Steps, Task, task
from kernels.viewing import distances_picture

if TYPE_CHECKING:
    from torch import Tensor

OPTIMIZERS = ("lbfgs", "gradient_descent")
MOST = {"lbfgs": 100, "gradient_descent": 1000}  # steps that `auto` never exceeds
PIXELS = (1 << 20, 1 << 18, 1 << 17)  # worked on at a time, at each level of thrift
MEMORY = (6, 6, 3)  # steps that L-BFGS remembers, likewise
SAVINGS = (
    "strips of a quarter of a megapixel instead of one",
    "strips of an eighth of a megapixel, and 3 remembered steps instead of 6",
)


@task(
    "hybrid",
    Task(inputs=("near", "far"), savings=SAVINGS, beside=("distances",)),
    near_weight=Number(0.3, low=0.001, high=1000, doc="how much it counts that near is seen near"),
    far_weight=Number(1.0, low=0.001, high=1000, doc="how much it counts that far is seen from afar"),
    kernel=Integer(15, low=1, high=255, unit="taps", odd=True, doc="length of the kernel that stands for distance"),
    sigma=Number(3.0, low=0.1, high=100, unit="px", doc="its standard deviation; what is finer belongs to near"),
    gamma=Number(2.2, low=1, high=4, doc="light is level^gamma; light is what distance blurs"),
    optimizer=Choice("lbfgs", OPTIMIZERS, doc="gradient_descent is the plain recipe, some fifty times slower"),
    steps=IntegerOrAuto(
        None, low=1, high=100_000, unit="steps", doc="auto: until settled; by default so, or 200 for gradient_descent"
    ),
    start=Choice(None, tuple(STARTS), doc="where to begin; by default linear, or grey for gradient_descent"),
    learning_rate=Number(0.3, low=0.0001, high=100, doc="length of gradient_descent's steps; lbfgs finds its own"),
    fit=Choice("crop", FITS, doc="how far is brought to the size of near"),
    distances=Flag(False, doc="a further picture that shows the hybrid at five viewing distances"),
)
def hybrid(
    inputs: Mapping[str, Tensor],
    state: State,
    *,
    near_weight: float,
    far_weight: float,
    kernel: int,
    sigma: float,
    gamma: float,
    optimizer: str,
    learning_rate: float,
    fit: str,
    distances: bool,
    steps: int | str | None = None,
    start: str | None = None,
    thrift: int = 0,
) -> Steps:
    """One picture out of two: near you see `near`, from far away you see `far`. It has the size of `near`.

    The picture is found by minimising a loss, from «Как можно взять tensorflow и смешать две картинки в одну»: its
    difference from near, and the difference of the two blurs, its own and that of far, made in light.
    """
    plain = optimizer == "gradient_descent"
    steps = steps or (200 if plain else "auto")
    near, far = inputs["near"], fit_far(inputs["far"], inputs["near"], fit)
    turned = _lies(near, PIXELS[thrift])
    search = Search(
        near=near.transpose(0, 1) if turned else near,
        far=far.transpose(0, 1) if turned else far,
        recipe=Recipe(near_weight, far_weight, gaussian_taps(sigma, kernel), gamma),
        begin_at=start or ("grey" if plain else "linear"),
        most=MOST[optimizer] if steps == "auto" else int(steps),
        auto=steps == "auto",
        pixels=PIXELS[thrift],
        memory=MEMORY[thrift],
    )
    path = gradient_descent(search, state, learning_rate) if plain else lbfgs(search, state)
    found = yield from _turned_back(path) if turned else path
    record = {
        "near_correlation": near_correlation(found.picture, near),
        "far_psnr": far_psnr(found.picture, far, gamma),
        **{name: float(term) for name, term in search.named(found.terms).items()},
        "steps": found.steps,
    }
    beside = {"distances": distances_picture(found.picture, gamma)} if distances else {}
    return Result(found.picture, record, beside)


def _lies(picture: Tensor, pixels: int) -> bool:
    """Whether strips of rows would be long and thin: a large picture is then worked on standing on its side."""
    height, width, _ = picture.shape
    return width > height and height * width > pixels


def _turned_back(path: Path) -> Path:
    """The same steps, with rows and columns of their pictures exchanged."""
    while True:
        try:
            progress = next(path)
        except StopIteration as end:
            found: Found = end.value
            return replace(found, picture=_exchanged(found.picture))
        yield replace(progress, preview=partial(_exchanged_preview, progress))


def _exchanged_preview(progress: Progress) -> Tensor:
    return _exchanged(progress.preview())


def _exchanged(picture: Tensor) -> Tensor:
    return picture.transpose(0, 1).contiguous()
