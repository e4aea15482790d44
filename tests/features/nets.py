"""Small networks of VGG-19's structure, the files that people have with one in them, and what those files mean.

What a file means is computed here a second time, with SciPy and in float64, by the file's own convention and from the
arrays as they stand in it: nothing of darkroom takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.io import savemat
from scipy.signal import correlate2d

from kernels.features import store

Array = NDArray[Any]
Net = dict[str, Array]
DEPTHS = (2, 2, 4, 4, 4)
LAYERS = [f"conv{scale}_{number}" for scale, depth in enumerate(DEPTHS, 1) for number in range(1, depth + 1)]
PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
CHANNELS = (5, 4, 6, 7, 8, 5, 6, 7, 9, 4, 5, 6, 7, 8, 5, 6)
LEVELS, UNITS, UNCLEAR = 0.004, 5.0, 0.2
"""Sizes of the first layer's kernels: for Caffe's input, for torchvision's, and one that may be for either."""
RED_FIRST_MEAN = np.array([123.68, 116.779, 103.939])
HEIGHT, WIDTH = 33, 40


def net(first: float = UNCLEAR, seed: int = 0, channels: tuple[int, ...] = CHANNELS) -> Net:
    """Kernels (O, I, 3, 3) and biases; the first layer's kernels of about the size `first`."""
    random, made, inputs = np.random.default_rng(seed), Net(), 3
    for layer, outputs in zip(LAYERS, channels, strict=True):
        size = first if layer == "conv1_1" else (2 / (9 * inputs)) ** 0.5
        made[f"{layer}.weight"] = random.normal(0, size, (outputs, inputs, 3, 3)).astype(np.float32)
        made[f"{layer}.bias"] = random.normal(0, 0.1, outputs).astype(np.float32)
        inputs = outputs
    return made


def picture() -> NDArray[np.uint8]:
    """Neither square nor symmetric, red first."""
    return np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


# -- what a file means -----------------------------------------------------------------------------------------------


def meant(made: Net, planes: Array) -> dict[str, Array]:
    """The features of every layer before its ReLU, for an input (3, H, W) as the network was trained with."""
    found, values = dict[str, Array](), planes.astype(np.float64)
    for layer in LAYERS:
        kernels, biases = made[f"{layer}.weight"].astype(np.float64), made[f"{layer}.bias"].astype(np.float64)
        found[layer] = np.stack(
            [
                bias + sum(correlate2d(plane, part, "same") for plane, part in zip(values, kernel, strict=True))
                for kernel, bias in zip(kernels, biases, strict=True)
            ]
        )
        values = np.maximum(found[layer], 0)
        if layer in ("conv1_2", "conv2_2", "conv3_4", "conv4_4"):
            rows, columns = values.shape[1] // 2, values.shape[2] // 2
            values = values[:, : 2 * rows, : 2 * columns].reshape(-1, rows, 2, columns, 2).max(axis=(2, 4))
    return found


def levels_planes(mean: Array = RED_FIRST_MEAN) -> Array:
    """Red first, levels minus a mean: MatConvNet's input."""
    return (picture() - mean).transpose(2, 0, 1)


def caffe_planes() -> Array:
    return levels_planes()[::-1]


def torchvision_planes() -> Array:
    units = picture() / 255
    return ((units - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)


def darkroom_features(path: Path) -> dict[str, Array]:
    """What darkroom's stored file makes of the same picture, with PyTorch in float32."""
    names = [f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")]
    tensors, mean = store.read(path, names)
    found = dict[str, Array]()
    values = (torch.from_numpy(picture()).float() - torch.tensor(mean)).permute(2, 0, 1)[None]
    for layer in LAYERS:
        values = F.conv2d(values, tensors[f"{layer}.weight"], tensors[f"{layer}.bias"], padding=1)
        found[layer] = values[0].numpy()
        values = F.relu(values)
        if layer in ("conv1_2", "conv2_2", "conv3_4", "conv4_4"):
            values = F.max_pool2d(values, 2)
    return found


# -- the files -------------------------------------------------------------------------------------------------------


def torchvision_names(made: Net, prefix: str = "features.") -> dict[str, torch.Tensor]:
    """By torchvision's names, with a classifier beside them."""
    tensors = {"classifier.0.weight": torch.ones(7, 11), "classifier.0.bias": torch.zeros(7)} if prefix else {}
    for layer, place in zip(LAYERS, PLACES, strict=True):
        for part in ("weight", "bias"):
            tensors[f"{prefix}{place}.{part}"] = torch.from_numpy(made[f"{layer}.{part}"])
    return tensors


def layer_names(made: Net) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in made.items()}


def pth(path: Path, tensors: Any, legacy: bool = False) -> Path:
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    return path


def tensors_file(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file(tensors, path)
    return path


def mat(path: Path, made: Net, layout: str = "new", mean: Array = RED_FIRST_MEAN, compress: bool = False) -> Path:
    """As MatConvNet wrote it before and since beta17: the same fields in another order, the mean in another place."""
    layers = np.empty((1, len(LAYERS) + 2), dtype=object)
    layers[0, 0], layers[0, 1] = _relu(), _convolution("fc6", np.ones((7, 7, 6, 3), np.float32), np.ones(3), layout)
    for place, layer in enumerate(LAYERS, 2):
        kernels = made[f"{layer}.weight"].transpose(2, 3, 1, 0)  # height × width × input × output
        layers[0, place] = _convolution(layer, kernels, made[f"{layer}.bias"], layout)
    normalization = {"imageSize": np.array([[224.0, 224, 3]]), "averageImage": mean}
    rest = {"meta": {"normalization": normalization}} if layout == "new" else {"normalization": normalization}
    savemat(path, {"layers": layers, **rest}, oned_as="row", do_compression=compress)
    return path


def _relu() -> dict[str, Any]:
    return {"type": "relu", "name": "relu1_1"}


def _convolution(name: str, kernels: Array, biases: Array, layout: str) -> dict[str, Any]:
    if layout == "oldest":
        return {"filters": kernels, "biases": biases, "type": "conv", "name": name}
    weights = np.empty((1, 2), dtype=object)
    weights[0, 0], weights[0, 1] = kernels, biases.reshape(-1, 1)
    if layout == "new":
        return {"name": name, "type": "conv", "weights": weights, "pad": np.ones((1, 4))}
    return {"weights": weights, "pad": np.ones((1, 4)), "type": "conv", "name": name, "stride": np.ones((1, 2))}


@dataclass(frozen=True, slots=True)
class Source:
    """A file: how it is written, of which network, and the input that its features are computed from."""

    write: Callable[[Path, Net], Path]
    first: float
    planes: Callable[[], Array]
    convention: str


_PICTURE_MEAN = np.random.default_rng(3).uniform(90, 130, (5, 4, 3))
SOURCES = {
    "mat": Source(lambda to, made: mat(to / "v.mat", made), UNCLEAR, levels_planes, "matconvnet"),
    "mat of beta16": Source(
        lambda to, made: mat(to / "v.mat", made, "old", RED_FIRST_MEAN.reshape(1, 1, 3)),
        UNCLEAR,
        levels_planes,
        "matconvnet",
    ),
    "oldest mat, mean of a picture": Source(
        lambda to, made: mat(to / "v.mat", made, "oldest", _PICTURE_MEAN, compress=True),
        UNCLEAR,
        lambda: levels_planes(_PICTURE_MEAN.mean(axis=(0, 1))),
        "matconvnet",
    ),
    "torchvision": Source(
        lambda to, made: pth(to / "v.pth", torchvision_names(made)), UNITS, torchvision_planes, "torchvision"
    ),
    "torchvision, legacy": Source(
        lambda to, made: pth(to / "v.pth", torchvision_names(made), True), UNITS, torchvision_planes, "torchvision"
    ),
    "torchvision, features only, wrapped": Source(
        lambda to, made: pth(to / "v.pth", {"state_dict": torchvision_names(made, "")}),
        UNITS,
        torchvision_planes,
        "torchvision",
    ),
    "torchvision, safetensors": Source(
        lambda to, made: tensors_file(to / "v.safetensors", torchvision_names(made)),
        UNITS,
        torchvision_planes,
        "torchvision",
    ),
    "caffe": Source(lambda to, made: pth(to / "v.pth", torchvision_names(made)), LEVELS, caffe_planes, "caffe"),
    "caffe, legacy": Source(
        lambda to, made: pth(to / "v.pth", torchvision_names(made), True), LEVELS, caffe_planes, "caffe"
    ),
    "gatys": Source(lambda to, made: pth(to / "v.pth", layer_names(made)), UNCLEAR, caffe_planes, "caffe"),
    "layer names, safetensors": Source(
        lambda to, made: tensors_file(to / "v.safetensors", layer_names(made)), UNCLEAR, caffe_planes, "caffe"
    ),
}
