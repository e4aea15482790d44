"""Deep image prior: would pictures of one size train together faster than one after the other?

K priors as one network, its convolutions in K groups, against K networks: every layer there and back, float32 on a
processor, bfloat16 on a card. More than once as fast: together is better.
See docs/decisions/022-prior-no-batches.md.

    python -m benchmarks.prior_groups                      # two threads; two minutes
    python -m benchmarks.prior_groups --device cuda
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measured import clock, wait_as_a_worker
from benchmarks.throughput import cores
from kernels.prior_network import ENLARGING, filters, laid_out

ROUNDS = 3
"""The best of so many counts."""
LEVELS = 5
NOISE, SKIP = 32, 4


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution of square pictures, or one that enlarges them, with the normalisation and rectifier behind it."""

    before: int
    after: int
    kernel: int
    stride: int
    side: int
    enlarges: bool = False

    def train(self, groups: int, times: int, device: torch.device) -> float:
        """Seconds for it, there and back, so many times."""
        kind = torch.float32 if device.type == "cpu" else torch.bfloat16
        x = torch.randn(1, groups * self.before, self.side, self.side, dtype=kind, device=device)
        channels = (self.before, self.after) if self.enlarges else (self.after, self.before)
        weight = torch.randn(groups * channels[0], channels[1], self.kernel, self.kernel, dtype=kind, device=device)
        x, weight = (laid_out(each).requires_grad_() for each in (x, weight))
        scale = torch.ones(groups * self.after, device=device, requires_grad=True)
        shift = torch.zeros(groups * self.after, device=device, requires_grad=True)
        begun = clock(device)
        for _ in range(times):
            y = self._enlarged(x, weight, groups) if self.enlarges else self._convolved(x, weight, groups)
            F.leaky_relu_(F.batch_norm(y, None, None, scale, shift, training=True), 0.2).sum().backward()  # type: ignore[no-untyped-call]
        return clock(device) - begun

    def _convolved(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        around = F.pad(x, (self.kernel // 2,) * 4, mode="reflect") if self.kernel > 1 else x
        return F.conv2d(around, weight, stride=self.stride, groups=groups)

    def _enlarged(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        """As kernels/prior_network.py does it, bilinear."""
        around = F.pad(x, (1, 1, 1, 1), mode="replicate")
        y = F.conv_transpose2d(around, weight, stride=2, padding=1, groups=groups)
        own = groups * self.after
        return F.conv2d(y, filters(ENLARGING["bilinear"], own, y.dtype, y.device), groups=own)


def layers(side: int, channels: int) -> Iterator[Layer]:
    """Those of the network: a skip, two on the way down, two on the way up, level by level."""
    before = NOISE
    for level in range(LEVELS):
        at = side >> level
        yield Layer(before, SKIP, 1, 1, at)
        yield Layer(before, channels, 3, 2, at)
        yield Layer(channels, channels, 3, 1, at // 2)
        yield Layer(channels, channels, 3, 1, at // 2, enlarges=True)
        yield Layer(channels, channels, 1, 1, at)
        before = channels


def seconds(side: int, channels: int, pictures: int, together: bool, device: torch.device) -> float:
    """For a step of all the pictures."""
    groups, times = (pictures, 1) if together else (1, pictures)
    return min(sum(layer.train(groups, times, device) for layer in layers(side, channels)) for _ in range(ROUNDS))


def main() -> None:
    """Print a row for each size, width and number of pictures, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=cores())
    options = parser.parse_args()
    wait_as_a_worker()
    torch.set_num_threads(options.threads)
    print(f"{time.strftime('%Y-%m-%d')}, {options.device}, {options.threads} threads\n")
    print("| side | channels | pictures | alone, ms a picture | together | times as fast |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for side in (64, 128, 256):
        for channels in (64, 128):
            for pictures in (2, 4):
                alone, both = (
                    1000 * seconds(side, channels, pictures, together, options.device) / pictures
                    for together in (False, True)
                )
                print(
                    f"| {side} | {channels} | {pictures} | {alone:.0f} | {both:.0f} | {alone / both:.2f} |", flush=True
                )


if __name__ == "__main__":
    main()
