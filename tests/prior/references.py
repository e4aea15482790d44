"""The network a second time, layer by layer as one writes it, and the making smaller pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kernels.prior_network import Shape


def plain(shape: Shape, weights: Mapping[str, Tensor], noise: Tensor) -> Tensor:
    """What the network gives: each level enlarged, put beside its skip, and convolved as a whole."""

    def norm(x: Tensor, *names: str) -> Tensor:
        scale, shift = (torch.cat([weights[f"{name}.{end}"] for name in names]) for end in ("scale", "shift"))
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt() * scale[:, None, None] + shift[:, None, None]

    def layer(x: Tensor, name: str, stride: int = 1) -> Tensor:
        reach = weights[name].shape[2] // 2
        x = F.pad(x, (reach,) * 4, mode="reflect") if reach else x
        return F.leaky_relu(norm(F.conv2d(x, weights[name], stride=stride), name), 0.2)

    def level(number: int, x: Tensor) -> Tensor:
        below = layer(layer(x, f"{number}.down1", 2), f"{number}.down2")
        if number + 1 < len(shape.down):
            below = level(number + 1, below)
        # Each is normalised where it comes from: a normalisation and an enlarging may change places but for the
        # variance, which the enlarging makes less. The rim: one pixel more all around before it is enlarged.
        below = F.pad(norm(below, f"{number}.up_in"), (1, 1, 1, 1), mode="replicate")
        options = {} if shape.enlarging == "nearest" else {"align_corners": False}
        large = F.interpolate(below, scale_factor=2, mode=shape.enlarging, **options)[:, :, 1:-1, 1:-1]
        if not shape.skip[number]:
            y = F.conv2d(large, weights[f"{number}.up"])
        else:
            skip = F.pad(norm(layer(x, f"{number}.skip"), f"{number}.skip_in"), (1, 1, 1, 1), mode="reflect")
            both = torch.cat((weights[f"{number}.up_skip"], weights[f"{number}.up"]), 1)
            y = F.conv2d(torch.cat((skip, large), 1), both)
        y = F.leaky_relu(norm(y, f"{number}.up"), 0.2)
        return layer(y, f"{number}.point") if shape.pointwise else y

    return torch.sigmoid(F.conv2d(level(0, noise), weights["color"], weights["color_shift"]))


def lanczos(x: float, lobes: int) -> float:
    if x == 0:
        return 1.0
    return math.sin(math.pi * x) / (math.pi * x) * math.sin(math.pi * x / lobes) / (math.pi * x / lobes)


def smaller(picture: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """H×W made smaller: each pixel the weighted mean of those within two small pixels of its centre, rim continued."""
    height, width = picture.shape
    made = np.zeros((height // factor, width // factor))
    for row, column in np.ndindex(*made.shape):
        total = value = 0.0
        middle = ((row + 0.5) * factor, (column + 0.5) * factor)
        for y in range(math.floor(middle[0] - 2 * factor), math.ceil(middle[0] + 2 * factor)):
            for x in range(math.floor(middle[1] - 2 * factor), math.ceil(middle[1] + 2 * factor)):
                away = (y + 0.5 - middle[0]) / factor, (x + 0.5 - middle[1]) / factor
                if max(map(abs, away)) < 2:
                    weight = lanczos(away[0], 2) * lanczos(away[1], 2)
                    total += weight
                    value += weight * picture[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
        made[row, column] = value / total
    return made
