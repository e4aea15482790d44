"""Style transfer's loss a second time: NumPy, float64, gradients by hand, over a small network of the same kind.

Nothing here is shared with the code under test: convolutions are sums over the nine taps of a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MEAN = (123.68, 116.779, 103.939)
CHANNELS = {"conv1_1": 5, "conv1_2": 6, "conv2_1": 7}
POOLED = ("conv2_1",)
"""The layers before which the mean of 2×2 is taken."""


def random_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """`NAME.weight` and `NAME.bias` for each layer."""
    chance, before, weights = np.random.default_rng(seed), 3, dict[str, NDArray[np.float32]]()
    for name, channels in CHANNELS.items():
        spread = np.sqrt(2 / (9 * before))
        weights[f"{name}.weight"] = (spread * chance.standard_normal((channels, before, 3, 3))).astype(np.float32)
        weights[f"{name}.bias"] = chance.standard_normal(channels).astype(np.float32)
        before = channels
    return weights


def shifted(x: Array, down: int, right: int) -> Array:
    """C×h×w moved, with zeros where nothing is."""
    _, height, width = x.shape
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    return wide[:, 1 - down : 1 - down + height, 1 - right : 1 - right + width]


def convolved(x: Array, weight: Array, bias: Array) -> Array:
    taps = [(i, j) for i in range(3) for j in range(3)]
    found = sum(np.einsum("oc,chw->ohw", weight[:, :, i, j], shifted(x, 1 - i, 1 - j)) for i, j in taps)
    return np.asarray(found + bias[:, None, None])


def back_through(gradient: Array, weight: Array) -> Array:
    taps = [(i, j) for i in range(3) for j in range(3)]
    found = sum(np.einsum("oc,ohw->chw", weight[:, :, i, j], shifted(gradient, i - 1, j - 1)) for i, j in taps)
    return np.asarray(found)


def pooled(x: Array) -> Array:
    channels, height, width = x.shape
    return np.asarray(x.reshape(channels, height // 2, 2, width // 2, 2).mean((2, 4)))


@dataclass
class Network:
    """Forward keeps what the way back needs."""

    weights: Mapping[str, NDArray[np.float32]]
    answers: dict[str, Array] = field(default_factory=dict)

    def forward(self, levels: Array) -> dict[str, Array]:
        x = levels - np.array(MEAN)[:, None, None]
        for name in CHANNELS:
            x = pooled(x) if name in POOLED else x
            weight = self.weights[f"{name}.weight"].astype(np.float64)
            x = np.maximum(convolved(x, weight, self.weights[f"{name}.bias"].astype(np.float64)), 0)
            self.answers[name] = x
        return dict(self.answers)

    def backward(self, slopes: Mapping[str, Array]) -> Array:
        gradient: Array | None = None
        for name in reversed(CHANNELS):
            answer = self.answers[name]
            gradient = np.zeros_like(answer) if gradient is None else gradient
            gradient = (gradient + slopes.get(name, np.zeros_like(answer))) * (answer > 0)
            gradient = back_through(gradient, self.weights[f"{name}.weight"].astype(np.float64))
            if name in POOLED:
                gradient = np.repeat(np.repeat(gradient, 2, 1), 2, 2) / 4
        assert gradient is not None
        return gradient


def gram(features: Array) -> Array:
    flat = features.reshape(features.shape[0], -1)
    return np.asarray(flat @ flat.T)


@dataclass(frozen=True)
class Loss:
    """The terms at a picture, and the gradient of content + strength·style."""

    content: float
    style: float
    gradient: Array
    grams: dict[str, Array]


def loss(
    weights: Mapping[str, NDArray[np.float32]],
    pictures: tuple[Array, Array, Array],
    layers: tuple[Mapping[str, float], Mapping[str, float]],
    strength: float,
    convention: str = "paper",
) -> Loss:
    """For the picture sought, the content and the style, C×h×w levels, and the weights of content and style layers."""
    x, photo, painted = pictures
    targets, aims = Network(weights).forward(photo), Network(weights).forward(painted)
    network = Network(weights)
    found = network.forward(x)
    slopes = {name: np.zeros_like(answer) for name, answer in found.items()}
    content = style = 0.0
    grams = dict[str, Array]()
    for name, weight in layers[0].items():
        off = found[name] - targets[name]
        factor = weight * {"paper": 1, "seed": off.size**-0.5, "relative": 2 / (targets[name] ** 2).sum()}[convention]
        content += factor * (off**2).sum() / 2
        slopes[name] += factor * off
    for name, weight in layers[1].items():
        n, m, own = found[name].shape[0], found[name][0].size, aims[name][0].size
        grams[name], aim = gram(found[name]), gram(aims[name]) * (m / own)
        off = grams[name] - aim
        factor = weight * (0.004 * n**2 * m**2 / (aim**2).sum() if convention == "relative" else 1.0)
        style += factor * (off**2).sum() / (4 * n**2 * m**2)
        flat = found[name].reshape(n, -1)
        slopes[name] += strength * factor * (off @ flat).reshape(found[name].shape) / (n**2 * m**2)
    return Loss(content, style, network.backward(slopes), grams)
