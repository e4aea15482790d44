"""Runs of deep image prior step by step, ours and the authors' recipe, held against the undamaged photograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.damages import Damaged, Pixels
from benchmarks.measured import clock, steps_of
from kernels import prior_stop
from kernels.deep_image_prior import AUTO, PATIENCE
from kernels.prior_presets import settings
from kernels.prior_training import FIXED, VARIANCE

MEMORY = 8 << 30


@dataclass
class Curve:
    """A run, step by step: decibels of the average picture, seconds since the start; and two pictures.

    `stopped` is the step at which the task would have ended, or, if the run was `cut` before that, its last.
    """

    psnr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stop: dict[str, Any] = field(default_factory=dict)
    stopped: int = 0
    cut: bool = False
    best: Pixels | None = None
    taken: Pixels | None = None

    @property
    def at(self) -> int:
        """The step whose picture `stop: auto` takes, counted from 1."""
        return int(self.stop["taken"])

    def until(self, psnr: float) -> float:
        """Seconds until the average picture was worth so much; +∞ if it never was."""
        return next((s for s, told in zip(self.seconds, self.psnr, strict=True) if told >= psnr), float("inf"))


def run(damaged: Damaged, whole: Pixels, steps: int, parameters: Mapping[str, Any], device: torch.device) -> Curve:
    """All the steps of the task, with what its rule for stopping says of them."""
    inputs = {role: torch.from_numpy(picture).to(device) for role, picture in damaged.inputs.items()}
    if own := {"iterations", "patience"} & parameters.keys():
        raise ValueError(f"{own.pop()} is the benchmark's own: see --steps")
    chosen = {**damaged.parameters, **parameters, "iterations": steps, "patience": steps}
    curve, begun, looking = Curve(), clock(device), 0.0
    job, preset = damaged.parameters["job"], chosen.get("preset", "fast")
    stop = chosen.get("stop", "auto")
    signal = {"auto": AUTO[job], FIXED: VARIANCE}.get(stop, stop)
    most = settings(preset, job, damaged.parameters.get("factor", 0), None).iterations
    lag = prior_stop.LAG if signal == VARIANCE else 0
    for progress in steps_of("deep_image_prior", inputs, chosen, memory=MEMORY):
        arrived = clock(device)
        curve.seconds.append(arrived - begun - looking)
        picture = progress.preview().cpu().numpy()
        curve.psnr.append(damaged.psnr(picture, whole))
        if curve.psnr[-1] == max(curve.psnr):
            curve.best = picture
        if not curve.stopped:
            seen = torch.as_tensor(progress.losses[signal])
            prior_stop.note(curve.stop, progress.step, seen, seen, lag=lag, fixed=False)
            if curve.at == progress.step:
                curve.taken = picture
            if prior_stop.settled(curve.stop, progress.step, PATIENCE) or progress.step in (steps, most):
                curve.stopped = progress.step
                curve.cut = progress.step == steps < most
        looking += clock(device) - arrived
    return curve


class _Beside(nn.Module):
    """A skip beside what goes deeper."""

    def __init__(self, skip: nn.Module, deeper: nn.Module) -> None:
        super().__init__()
        self.skip, self.deeper = skip, deeper

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.skip(x), self.deeper(x)), 1)


def hourglass(channels: int = 128, levels: int = 5) -> nn.Module:
    """The authors' network as one writes it in PyTorch, layer by layer: 2,217,831 parameters."""

    def conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Module:
        if kernel == 1:
            return nn.Conv2d(before, after, 1)
        return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, padding_mode="reflect")

    def layer(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        return [conv(before, after, kernel, stride), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]

    def level(number: int, before: int) -> nn.Module:
        deeper = [*layer(before, channels, 3, 2), *layer(channels, channels, 3)]
        if number < levels:
            deeper.append(level(number + 1, channels))
        deeper.append(nn.Upsample(scale_factor=2, mode="bilinear"))
        return nn.Sequential(
            _Beside(nn.Sequential(*layer(before, 4, 1)), nn.Sequential(*deeper)),
            nn.BatchNorm2d(channels + 4), *layer(channels + 4, channels, 3), *layer(channels, channels, 1),
        )  # fmt: skip

    return nn.Sequential(level(1, 32), nn.Conv2d(channels, 3, 1), nn.Sigmoid())


def recipe(damaged: Damaged, whole: Pixels, steps: int, device: torch.device) -> Curve:
    """The authors' recipe for noise in plain PyTorch: float32, Adam at 0.01, jitter of 1/30, an average of 0.99."""
    torch.manual_seed(0)
    network = hourglass().to(device)
    target = torch.from_numpy(damaged.inputs["picture"]).to(device).permute(2, 0, 1)[None].float() / 255
    noise = 0.1 * torch.rand(1, 32, *target.shape[2:], device=device)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    curve, average, begun, looking = Curve(), torch.zeros(()), clock(device), 0.0
    for step in range(steps):
        optimizer.zero_grad()
        picture = network(noise + torch.randn_like(noise) / 30)
        average = picture.detach() if step == 0 else 0.99 * average + 0.01 * picture.detach()
        loss = nn.functional.mse_loss(picture, target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        arrived = clock(device)
        curve.seconds.append(arrived - begun - looking)
        both = [(255 * each[0].permute(1, 2, 0)).round().byte().cpu().numpy() for each in (average, picture.detach())]
        curve.psnr.append(max(damaged.psnr(each, whole) for each in both))
        looking += clock(device) - arrived
    return curve
