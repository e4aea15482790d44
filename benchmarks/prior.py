"""Deep image prior: photographs are damaged and restored, beside what OpenCV does, and beside the authors' recipe.

Each run makes all of its steps. The table tells what the average picture was worth against the undamaged photograph at
its best step, at the last, and at the step that `stop: auto` takes; `s` is when that would have stopped. `(cut)`: the
steps ended before it would have. PSNR and SSIM are of the picture in 8 bits; for holes, PSNR is over the missing pixels
alone.

    python -m benchmarks.prior                                  # 128×128, two photographs; an hour on two cores
    python -m benchmarks.prior --side 256 --pictures 6 --with '{size: standard}'  # a day and a half without bfloat16
    python -m benchmarks.prior --only noise25 jpeg10 --photographs chelsea --with '{size: small}'
    python -m benchmarks.prior --recipe --side 256              # the time to what the authors' recipe has made
    python -m benchmarks.prior --memory 512x512                 # what it takes, beside what it promised
    python -m benchmarks.prior --device cuda --side 512 --photographs astronaut camera    # on a card
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from skimage.metrics import structural_similarity

from benchmarks.damages import DAMAGES, PHOTOGRAPHS, Pixels, photograph
from benchmarks.measured import steps_of, timed, wait_as_a_worker
from benchmarks.prior_curves import recipe, run
from benchmarks.throughput import cores
from daemon.life.allocator import keep_pages
from daemon.tasks.memory import Peak
from kernels.deep_image_prior import precision_for

COLUMNS = (
    "damage", "photograph", "before", "others", "best", "at", "last", "stop", "at", "gap", "SSIM before, best, stop",
    "s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Photographs of side×side pixels, so many steps of each, further parameters of ours, and where it computes."""

    side: int
    steps: int
    parameters: Mapping[str, Any]
    device: torch.device


def similarity(picture: Pixels, whole: Pixels) -> float:
    """SSIM over all three colors, as scikit-image computes it."""
    return float(structural_similarity(picture, whole, channel_axis=2))


def table(names: list[str], photographs: list[str], wanted: Wanted) -> None:
    """A row for each damage and photograph, and the mean of each damage."""
    print(f"\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    for name in names:
        rows = [_row(name, photo, wanted) for photo in photographs]
        before, best, stop = (float(np.mean([row[place] for row in rows])) for place in range(3))
        means = f"{before:.2f} | | {best:.2f} | | | {stop:.2f} | | {best - stop:.2f} | | |"
        print(f"| **{name}** | mean | {means}", flush=True)


def _row(name: str, photo: str, wanted: Wanted) -> tuple[float, float, float]:
    whole = photograph(photo, wanted.side)
    damaged = DAMAGES[name](whole, 0)
    made = {other: make() for other, make in damaged.others.items()}
    given = damaged.inputs["picture"] if damaged.inputs["picture"].shape == whole.shape else made["bicubic"]
    curve = run(damaged, whole, wanted.steps, wanted.parameters, wanted.device)
    assert curve.taken is not None and curve.best is not None
    before, best, stop = damaged.psnr(given, whole), max(curve.psnr), curve.psnr[curve.at - 1]
    alike = [f"{similarity(each, whole):.3f}" for each in (given, curve.best, curve.taken)]
    others = ", ".join(f"{other} {damaged.psnr(picture, whole):.2f}" for other, picture in made.items())
    print(
        f"| {name} | {photo} | {before:.2f} | {others} | {best:.2f} | {curve.psnr.index(best) + 1} "
        f"| {curve.psnr[-1]:.2f} | {stop:.2f} | {curve.at}{' (cut)' if curve.cut else ''} | {best - stop:.2f} "
        f"| {', '.join(alike)} | {curve.seconds[curve.stopped - 1]:.0f} |",
        flush=True,
    )
    return before, best, stop


def compare(photo: str, wanted: Wanted) -> None:
    """How long ours takes to what the recipe is worth after as many steps."""
    side, steps, whole = wanted.side, wanted.steps, photograph(photo, wanted.side)
    damaged = DAMAGES["noise25"](whole, 0)
    outside = recipe(damaged, whole, steps, wanted.device)
    reached, taken = outside.psnr[-1], outside.seconds[-1]
    print(f"\nThe recipe, {photo} {side}×{side}, σ 25: {reached:.2f} dB after {steps} steps, {taken:.0f} s.\n")
    print("| ours | s a step | s to that | times as fast |\n| --- | --- | --- | --- |", flush=True)
    ways = [{"size": "standard"}, {"size": "small"}, {"preset": "paper"}]
    if precision_for(wanted.device) != "float32":
        ways.append({"size": "small", "precision": "float32"})
    for own in ways:
        chosen = {**own, **wanted.parameters}
        curve = run(damaged, whole, steps, chosen, wanted.device)
        until = curve.until(reached)
        told = yaml.safe_dump(chosen, default_flow_style=True).strip()
        print(f"| {told} | {curve.seconds[-1] / steps:.3f} | {until:.0f} | **{taken / until:.1f}** |", flush=True)


def one(height: int, width: int, memory: int, parameters: Mapping[str, Any], device: torch.device) -> None:
    """A few steps of one picture: seconds a step, and memory as promised and as taken."""
    whole = np.array(Image.fromarray(photograph("astronaut", 512)).resize((width, height)))
    inputs, peak = {"picture": torch.from_numpy(whole).to(device)}, Peak(device)
    done = timed(steps_of("deep_image_prior", inputs, {"iterations": 5, **parameters}, memory=memory << 20))
    promised, taken = done.record["memory_estimate"], peak.read() >> 20
    each = (done.seconds[-1] - done.seconds[0]) / (len(done.seconds) - 1)
    told = yaml.safe_dump(dict(parameters), default_flow_style=True).strip()
    print(f"| {width}×{height} | {memory} | {told} | {each:.2f} | {promised} | {taken} | {taken / promised:.2f} |")


def main() -> None:
    """Print what was asked for, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--pictures", type=int, default=2, help="how many photographs")
    parser.add_argument("--photographs", nargs="+", choices=PHOTOGRAPHS, help="which")
    parser.add_argument("--only", nargs="+", choices=[*DAMAGES], default=[*DAMAGES], help="which damages")
    parser.add_argument("--steps", type=int, help="of each run; by default 1500, of the recipe 1000")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--device", type=torch.device, default="cpu", help="cpu or cuda")
    parser.add_argument("--recipe", action="store_true", help="the authors' recipe, and ours beside it")
    parser.add_argument("--memory", metavar="WIDTHxHEIGHT", help="only one picture, and what memory it takes")
    parser.add_argument("--have", type=int, default=8000, help="MiB that it may plan with")
    parser.add_argument("--with", dest="parameters", type=yaml.safe_load, default={}, help="parameters, as YAML")
    options = parser.parse_args()
    wait_as_a_worker()
    torch.set_num_threads(options.threads)
    keep_pages()  # as a worker does
    photographs = options.photographs or list(PHOTOGRAPHS[: options.pictures])
    if options.memory:
        width, height = map(int, options.memory.split("x"))
        one(height, width, options.have, options.parameters, options.device)
        return
    steps = options.steps or (1000 if options.recipe else 1500)
    wanted = Wanted(options.side, steps, options.parameters, options.device)
    where = f"{options.threads} threads" if options.device.type == "cpu" else torch.cuda.get_device_name(options.device)
    told = precision_for(options.device)
    print(f"{time.strftime('%Y-%m-%d')}, {options.side}×{options.side}, {where}, auto is {told}", end="")
    print(f", {steps} steps, {options.parameters or 'as it comes'}", flush=True)
    if options.recipe:
        compare(photographs[0], wanted)
        return
    table(options.only, photographs, wanted)


if __name__ == "__main__":
    main()
