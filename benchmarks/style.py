"""Style transfer: the default schedule beside the recipe it comes from, the time to a picture, memory as promised.

* `recipe`: as one writes it in PyTorch with the package efficientnet-lite-pytorch: steps of Adam at rate 2 from half
  white noise, at one size; the loss is that of the default preset, without total variation.
* `preset: seed`: the same recipe by our own task, in the same loss.
* The default: coarse to fine, as the preset `painting` has it, with ever more steps; the times are those that the
  others take to the loss that it ends with.

Then, in processes of their own: 512×512 as it comes, with the time of the first preview, and large pictures, with the
memory that was estimated and the memory that it took.

    python -m benchmarks.style                             # one pair at 512×512; a quarter of an hour
    python -m benchmarks.style --side 256 --steps 5000     # the recipe to its end
    python -m benchmarks.style --only 3000x2000 --memory 6000 --with '{iterations: 5}'
"""

from __future__ import annotations

import argparse
import importlib
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from benchmarks.measured import Timed, square, square_of, steps_of, timed, wait_as_a_worker
from benchmarks.throughput import cores
from daemon.life.allocator import keep_pages
from daemon.tasks.memory import Peak
from kernels.features import pickled, store
from kernels.features.kinds import KINDS, LITE0
from kernels.style_objective import EVEN
from kernels.style_pictures import Pictures
from kernels.style_presets import PAINTING
from kernels.tasks import Progress, Result, Steps

STRENGTH = PAINTING.strength
ITERATIONS = (12, 25, 50, 100, 200, 400)
"""Of the default schedule, which is the one with 50."""
LOSS: dict[str, Any] = {"convention": "relative", "strength": STRENGTH, "total_variation": 0}
MEMORY = 8 << 30
STYLE = Path(__file__).parents[1] / "examples" / "night.jpg"


def inputs(name: str, height: int, width: int) -> dict[str, Tensor]:
    """A photograph at a size, and the painting that is shipped, cut to a square: 512×512."""
    picture = Image.fromarray(square(name, 512).numpy()).resize((width, height), Image.Resampling.BICUBIC)
    return {"content": torch.from_numpy(np.array(picture)), "style": square_of(Image.open(STYLE), 512)}


def recipe(pictures: Mapping[str, Tensor], steps: int) -> Steps:
    """The recipe as its readers would write it today: the package's network with hooks, automatic gradients."""
    package: Any = importlib.import_module("efficientnet_lite_pytorch")
    network = package.EfficientNet.from_name(LITE0).eval()
    path = store.find(LITE0)
    assert path is not None, "the extra `style` is not installed"
    network.load_state_dict(pickled.read(path))
    for weight in network.parameters():
        weight.requires_grad_(False)
    kind, seen = KINDS[LITE0], dict[str, Tensor]()
    modules = {"stem": network._bn0, **{f"block{number}": block for number, block in enumerate(network._blocks)}}
    for name in {*kind.content, *kind.style}:
        modules[name].register_forward_hook(lambda _m, _x, answer, name=name: seen.__setitem__(name, answer))

    def features(levels: Tensor) -> dict[str, Tensor]:
        network.extract_features((levels - 127) / 128)
        return {name: nn.functional.relu6(seen[name]) if name == "stem" else seen[name] for name in seen}

    def grams(layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        flat = {name: layers[name].flatten(2)[0] for name in kind.style}
        return {name: each @ each.T / each.shape[1] for name, each in flat.items()}

    prepared = Pictures(pictures["content"], pictures["style"], "style", 1.0)
    content = prepared.content_at(*pictures["content"].shape[:2])
    content, style = content[None], prepared.style_for(content)[None]
    with torch.no_grad():
        targets, aims = features(content), grams(features(style))
    noise = 20 * (2 * torch.rand(content.shape, generator=torch.Generator().manual_seed(0)) - 1) + 127.5
    x = (0.5 * noise + 0.5 * content).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=2.0)
    for step in range(1, steps + 1):
        layers = features(x)
        loss = torch.zeros(())
        for name in kind.content:
            loss = loss + (layers[name] - targets[name]).square().sum() / targets[name].square().sum()
        for name, found in grams(layers).items():
            loss = loss + STRENGTH / EVEN * (found - aims[name]).square().sum() / aims[name].square().sum()
        (x.grad,) = torch.autograd.grad(loss, [x])
        optimizer.step()
        yield Progress(step, steps, {"loss": loss.detach()}, x.detach)
    return Result(x.detach())


def compare(side: int, steps: int) -> None:
    """The table: where the default schedule ends, and how long the others take to the same loss."""
    pictures = inputs("astronaut", side, side)
    outside = timed(recipe(pictures, steps))
    seed = styled(pictures, preset="seed", iterations=steps, **LOSS)
    print(f"\nastronaut as night.jpg, {side}×{side}: seconds to the loss that the default schedule ends with\n")
    print("| iterations | s | loss | recipe s | times as fast | `preset: seed` s | times as fast |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for count in ITERATIONS:
        run = styled(pictures, iterations=count, **LOSS)
        loss, taken = run.losses[-1], run.seconds[-1]
        cells = [_compared(each.until(loss), taken) for each in (outside, seed)]
        print(f"| {count} | {taken:.1f} | {loss:.4f} | {' | '.join(cells)} |", flush=True)
    for name, each in (("The recipe", outside), ("`preset: seed`", seed)):
        print(f"\n{name} ends at {each.losses[-1]:.4f} after {each.seconds[-1]:.0f} s.")


def _compared(seconds: float, taken: float) -> str:
    return "not reached | " if math.isinf(seconds) else f"{seconds:.1f} | **{seconds / taken:.1f}**"


def styled(pictures: Mapping[str, Tensor], **parameters: Any) -> Timed:
    """The task from start to end."""
    return timed(steps_of("style_transfer", pictures, parameters, memory=MEMORY))


def one(height: int, width: int, memory: int, parameters: Mapping[str, Any]) -> None:
    """One picture in this process: its time, its slowest step, memory as estimated and as taken."""
    pictures, peak = inputs("astronaut", height, width), Peak(torch.device("cpu"))
    run = timed(steps_of("style_transfer", pictures, parameters, memory=memory << 20))
    taken, promised = peak.read() >> 20, run.record["memory_estimate"]
    gaps = np.diff([0.0, *run.seconds])
    print(
        f"| {width}×{height} | {memory} | {yaml.safe_dump(dict(parameters), default_flow_style=True).strip()} "
        f"| {run.seconds[-1]:.1f} | {gaps[0]:.2f} | {gaps.max():.2f} | {promised} | {taken} | {taken / promised:.2f} |"
    )


PICTURES = (
    ("512x512", 8000, "{}"),
    ("512x512", 8000, "{color: luminance}"),
    ("1024x1024", 8000, "{}"),
    ("1024x1024", 800, "{iterations: 12}"),
    ("3000x2000", 6000, "{iterations: 5}"),
    ("3000x2000", 1800, "{iterations: 5}"),
    ("512x512", 8000, "{network: vgg19-random, iterations: 3}"),
)
"""Sizes, MiB to be had, parameters."""


def pictures(threads: int) -> None:
    """The table of times and memory, each picture in a process of its own."""
    print("\n| picture | MiB there | with | s | first step s | slowest s | MiB promised | MiB taken | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for size, memory, parameters in PICTURES:
        own = [sys.executable, "-m", "benchmarks.style", "--threads", str(threads), "--only", size]
        subprocess.run([*own, "--memory", str(memory), "--with", parameters], check=True)


def main() -> None:
    """Print what was asked for, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--steps", type=int, default=1200, help="of the recipe")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--only", metavar="WIDTHxHEIGHT", help="only one picture, and what memory it takes")
    parser.add_argument("--memory", type=int, default=8000, help="MiB that it may plan with")
    parser.add_argument("--with", dest="parameters", type=yaml.safe_load, default={}, help="its parameters, as YAML")
    options = parser.parse_args()
    wait_as_a_worker()
    torch.set_num_threads(options.threads)
    keep_pages()  # as a worker does
    if options.only:
        width, height = map(int, options.only.split("x"))
        one(height, width, options.memory, options.parameters)
        return
    print(f"{time.strftime('%Y-%m-%d')}, {options.threads} threads", flush=True)
    pictures(options.threads)
    compare(options.side, options.steps)


if __name__ == "__main__":
    main()
