"""Hybrids: L-BFGS beside two hundred steps of plain gradient descent, and a picture of four megapixels.

For each weight of the near picture, in turn and several times over, in one run, at 512×512:

* `recipe`: the recipe as one writes it in PyTorch: depthwise convolutions, automatic gradients, 200 steps at rate 0.3;
* `descent`: the same 200 steps as `optimizer: gradient_descent` takes them;
* `lbfgs`: the default; the time until its loss, as told after a step, is at or below the one that `descent` ends with.

Times run from the two pictures to the step in question. Then, in a process of its own, 2048×2048 pixels.

    python -m benchmarks.hybrid                 # 3 rounds of three weights with two pairs, then 4 megapixels
    python -m benchmarks.hybrid --rounds 5 --threads 1
    python -m benchmarks.hybrid --large 2048 --with '{steps: 7}' --thrift 2
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from benchmarks.measured import Timed, peak_memory, square, steps_of, timed, wait_as_a_worker
from benchmarks.throughput import cores
from daemon.life.allocator import keep_pages
from kernels.gaussian import gaussian_taps

PAIRS = (("astronaut", "chelsea"), ("coffee", "rocket"))
WEIGHTS = (0.1, 0.3, 1.0)
SIDE = 512
FEW = 7  # steps of lbfgs that leave the picture smooth; see docs/hybrid.md


def inputs(names: tuple[str, str], side: int) -> dict[str, Tensor]:
    """Near and far."""
    return {role: square(name, side) for role, name in zip(("near", "far"), names, strict=True)}


def recipe(pair: Mapping[str, Tensor], near_weight: float) -> float:
    """200 steps of the recipe, float32, as a reader of it would write them today; gives the loss at the end."""
    near, far = (pair[role].permute(2, 0, 1).float()[None] / 255 for role in ("near", "far"))
    taps = torch.tensor(gaussian_taps(3, 15))
    rows, columns = taps.view(1, 1, 15, 1).repeat(3, 1, 1, 1), taps.view(1, 1, 1, 15).repeat(3, 1, 1, 1)

    def seen(picture: Tensor) -> Tensor:
        light = torch.nn.functional.conv2d(picture**2.2, rows, padding=(7, 0), groups=3)
        return torch.nn.functional.conv2d(light, columns, padding=(0, 7), groups=3) ** (1 / 2.2)

    label, x = seen(far), torch.zeros_like(near, requires_grad=True)

    def loss() -> Tensor:
        y = torch.sigmoid(x)
        return near_weight * ((y - near) ** 2).sum() + ((seen(y) - label) ** 2).sum()

    for _ in range(200):
        (gradient,) = torch.autograd.grad(loss(), x)
        with torch.no_grad():
            x -= 0.3 * gradient
    with torch.no_grad():
        return float(loss())


def hybrid(pair: Mapping[str, Tensor], thrift: int = 0, **parameters: Any) -> Timed:
    """The task from start to end."""
    return timed(steps_of("hybrid", pair, parameters, thrift=thrift))


def compare(names: tuple[str, str], rounds: int) -> None:
    """The table of one pair."""
    pair, rows = inputs(names, SIDE), list[str]()
    for weight in WEIGHTS:
        outside, plain, ours = list[float](), list[float](), list[float]()
        for _ in range(rounds):
            begun = time.perf_counter()
            recipe(pair, weight)
            outside.append(time.perf_counter() - begun)
            descent = hybrid(pair, near_weight=weight, optimizer="gradient_descent")
            plain.append(descent.seconds[-1])
            found = hybrid(pair, near_weight=weight)
            ours.append(found.until(descent.record["loss"]))
        few = hybrid(pair, near_weight=weight, steps=FEW)
        rows.append(_row(weight, outside, plain, ours, descent, found, few))
    print(f"\n{names[0]} near, {names[1]} from afar, {SIDE}×{SIDE}, median of {rounds} rounds\n")
    print("| near_weight | recipe s | descent s | lbfgs to that loss, ms | speed over recipe | over descent |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(row.split("\n")[0] for row in rows))
    print(f"\n| near_weight | loss of descent | of lbfgs (steps) | of {FEW} steps | near correlation | far PSNR, dB |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(row.split("\n")[1] for row in rows))


def _row(weight: float, outside: list[float], plain: list[float], ours: list[float], *runs: Timed) -> str:
    over = [statistics.median(a / b for a, b in zip(times, ours, strict=True)) for times in (outside, plain)]
    first = [f"{statistics.median(outside):.2f}", f"{statistics.median(plain):.2f}"]
    first += [f"{1000 * statistics.median(ours):.0f}", *(f"**{ratio:.0f}**" for ratio in over)]
    descent, found, few = (run.record for run in runs)
    shares = [f"{100 * (record['loss'] / descent['loss'] - 1):+.1f} %" for record in (found, few)]
    second = [f"{descent['loss']:,.0f}", f"**{shares[0]}** ({found['steps']})", shares[1]]
    for name, digits in (("near_correlation", 2), ("far_psnr", 1)):
        second.append(" / ".join(f"{record[name]:.{digits}f}" for record in (descent, found, few)))
    return "\n".join(f"| {weight} | {' | '.join(cells)} |" for cells in (first, second))


def large(side: int, thrift: int, parameters: Mapping[str, Any]) -> None:
    """One large hybrid in this process: its time, its slowest step, and the peak memory with all libraries."""
    pair = inputs(PAIRS[0], side)
    idle = peak_memory()
    found = hybrid(pair, thrift, **parameters)
    peak = peak_memory()
    gaps = np.diff([0.0, *found.seconds])
    print(f"\n{side}×{side}: {found.seconds[-1]:.1f} s, {found.record['steps']} steps over all strips,")
    print(f"the slowest {gaps.max():.2f} s; peak memory {peak:.0f} MiB, of which {idle:.0f} before it began")


def main() -> None:
    """Print what was asked for, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many pairs of photographs")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--large", type=int, default=0, metavar="SIDE", help="only one picture of SIDE × SIDE")
    parser.add_argument("--with", dest="parameters", type=yaml.safe_load, default={}, help="its parameters, as YAML")
    parser.add_argument("--thrift", type=int, default=0, help="its level of thrift")
    options = parser.parse_args()
    wait_as_a_worker()
    torch.set_num_threads(options.threads)
    keep_pages()  # as a worker does
    if options.large:
        large(options.large, options.thrift, options.parameters)
        return
    print(f"{time.strftime('%Y-%m-%d')}, {options.threads} threads", flush=True)
    for names in PAIRS[: options.pairs]:
        compare(names, options.rounds)
    own = [sys.executable, "-m", "benchmarks.hybrid", "--threads", str(options.threads), "--large", "2048"]
    sys.stdout.flush()
    subprocess.run(own, check=True)


if __name__ == "__main__":
    main()
