"""One prior: a network trained on one observation, step by step, and the average of the pictures it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels import adam, prior_stop
from kernels.backend import torch
from kernels.prior_network import Network
from kernels.prior_observation import observed, padded
from kernels.prior_presets import Settings
from kernels.tasks import State

if TYPE_CHECKING:
    from torch import Tensor

HELD_OUT, VARIANCE, FIXED = "held_out", "variance", "fixed"
"""What ends the training: a signal, see kernels/prior_stop.py, or the number of steps."""
AMPLITUDE = 0.1
"""The noise is uniform from 0 to this, the authors'."""
LATEST = 10
"""The average is over about the last tenth of all steps …"""
LONGEST = 100
"""… and the authors' hundred at most: they average with 0.99 of what was before."""
_STREAMS = 1_000_003
"""Random numbers of one kind, tile and step have a generator of their own, so a state holds none."""


@dataclass(frozen=True, slots=True)
class Training:
    """How every prior of a picture is trained; `precision` is the type that the network computes in, by name.

    At most `iterations` steps are made, fewer when the signal called `stop` has not been less for `patience` steps.
    """

    settings: Settings
    precision: str
    seed: int
    stop: str
    patience: int
    iterations: int


class Prior:
    """The prior of one tile, from a state on that belongs to it. `number` is the tile's: each has its own noise.

    `levels` are float32 1×C×h×w on the scale 0..1, `kept` 1×1×h×w is 1 where they are to be looked at, or 0.
    """

    def __init__(
        self, training: Training, levels: Tensor, kept: Tensor | None, factor: int, number: int, state: State
    ) -> None:
        self._training, self._number, self._state = training, number, state
        self._height, self._width = (side * factor for side in levels.shape[2:])
        self._network = Network(training.settings.shape, levels.shape[1])
        self._device = levels.device
        self._noise = self._made_noise()
        self._observation = observed(levels, kept, factor, self._generator(2) if training.stop == HELD_OUT else None)
        if not state:
            weights = self._network.initial(self._generator(0))
            state.update(**adam.moments(weights), weights=weights, average=None, variance=None, stop={})

    def _made_noise(self) -> Tensor:
        """What the network looks at, 1×C×H×W, its channels last."""
        shape = self._training.settings.shape
        height, width = (padded(side, shape.stride, shape.least) for side in (self._height, self._width))
        if self._training.settings.grid:
            down, across = (torch.linspace(0, 1, side, device=self._device) for side in (height, width))
            noise = torch.stack(torch.meshgrid(down, across, indexing="ij"), 2)[None]
        else:
            noise = torch.empty(1, height, width, shape.noise, device=self._device)
            noise.uniform_(0, AMPLITUDE, generator=self._generator(1))
        return noise.permute(0, 3, 1, 2)

    def _generator(self, stream: int) -> torch.Generator:
        seed = (self._training.seed * _STREAMS + self._number) * _STREAMS + stream
        return torch.Generator(self._device).manual_seed(seed & (1 << 63) - 1)

    def step(self) -> dict[str, Tensor]:
        """Train once; the loss and the signals, as tensors: reading one would make a card wait."""
        state, weights = self._state, self._network.named(self._state["weights"])
        picture = self._network(weights, self._jittered())[:, :, : self._height, : self._width]
        loss = self._observation.loss(picture)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        gradient = torch.cat([part.flatten() for part in gradients])
        state["weights"] = adam.moved(state, state["weights"], gradient, self._training.settings.rate)
        self._averaged(picture.detach())
        told: dict[str, Tensor] = {"loss": loss.detach(), VARIANCE: state["variance"]}
        if self._observation.held is not None:
            told[HELD_OUT] = self._observation.held_out(state["average"])
        stop = self._training.stop
        lag = prior_stop.LAG if stop == VARIANCE else 0
        signal = told[VARIANCE if stop == FIXED else stop]
        prior_stop.note(state["stop"], state["step"], signal, state["average"], lag=lag, fixed=stop == FIXED)
        return told

    @property
    def done(self) -> bool:
        """Whether all the steps were made, or enough."""
        training, step = self._training, self._state["step"]
        if step >= training.iterations:
            return True
        return training.stop != FIXED and bool(prior_stop.settled(self._state["stop"], step, training.patience))

    def _jittered(self) -> Tensor:
        """The noise of the step to come, in the type that is computed in."""
        noise, jitter = self._noise, self._training.settings.jitter
        if jitter:
            _, channels, height, width = noise.shape
            own = torch.empty(1, height, width, channels, device=self._device)
            own.normal_(0, jitter, generator=self._generator(3 + self._state["step"]))
            noise = noise + own.permute(0, 3, 1, 2)
        return noise.to(getattr(torch, self._training.precision))

    def _averaged(self, picture: Tensor) -> None:
        """Take a picture into the average, and how far it was from that into the variance (both exponential)."""
        state, before = self._state, self._state["average"]
        if before is None:
            state.update(average=picture.contiguous(), variance=torch.zeros_like(picture[0, 0, 0, 0]))
            return
        share = max(1 / LONGEST, LATEST / (LATEST + state["step"]))
        away = (picture - before).square().mean()
        state["average"] = before.lerp(picture, share)
        state["variance"] = (1 - share) * (state["variance"] + share * away)

    @property
    def picture(self) -> Tensor:
        """The average so far, float32 1×C×H×W on the scale 0..1."""
        average: Tensor = self._state["average"]
        return average
