"""Which tensor of a file is which layer of VGG-19, and whether all of them fit together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kernels.backend import np
from kernels.features.kinds import VGG19_LAYERS
from kernels.features.refused import WeightsRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_DEPTHS = {"VGG-11": (1, 1, 2, 2, 2), "VGG-13": (2, 2, 2, 2, 2), "VGG-16": (2, 2, 3, 3, 3), "VGG-19": (2, 2, 4, 4, 4)}
_NUMBERED = re.compile(r"(?:^|\.)(?:features\.)?(\d+)\.(weight|bias|running_mean)$")
_NAMED = re.compile(r"(?:^|\.)conv(\d)_(\d)\.(weight|bias)$")
_OTHER_PART = re.compile(r"(?:^|\.)(?:classifier|pre_logits|head|fc\w*)\.")
TENSORS = tuple(f"{layer}.{part}" for layer in VGG19_LAYERS for part in ("weight", "bias"))
"""The names of the canonical form, in order."""

WANTED = "darkroom uses VGG-19 without batch normalisation"


def is_feature(name: str) -> bool:
    """Whether a tensor belongs to the convolutions, by whichever name; the classifier is of no use here."""
    return not _OTHER_PART.search(name) and bool(_NUMBERED.search(name) or _NAMED.search(name))


def named(file: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of the sixteen layers by darkroom's names, in order. Raises WeightsRefused for another network."""
    found: dict[str, Array] = {}
    numbers = _by_number(tensors)
    if any(part == "running_mean" for _, part in numbers):
        raise WeightsRefused(f"{file}: a network with batch normalisation; {WANTED}")
    for (number, part), tensor in numbers.items():
        found[f"{_layer(file, number, numbers)}.{part}"] = tensor
    for name, tensor in tensors.items():
        if match := _NAMED.search(name):
            found[f"conv{match[1]}_{match[2]}.{match[3]}"] = tensor
    _check_network(file, found)
    _check_chain(file, found)
    return {name: found[name] for name in TENSORS}


def _by_number(tensors: Mapping[str, Array]) -> dict[tuple[int, str], Array]:
    matches = ((_NUMBERED.search(name), tensor) for name, tensor in tensors.items() if is_feature(name))
    return {(int(match[1]), match[2]): tensor for match, tensor in matches if match}


def _layer(file: str, number: int, numbers: Mapping[tuple[int, str], Array]) -> str:
    """The layer that stands at a place of torchvision's list, in which ReLUs and poolings count too."""
    places = sorted({place for place, part in numbers if part == "weight"})
    for depths in _DEPTHS.values():
        layers = _layers(depths)
        if places == list(layers) and number in layers:
            return layers[number]
    raise WeightsRefused(f"{file}: {len(places)} convolutions, in no order of a VGG; {WANTED}")


def _layers(depths: tuple[int, ...]) -> dict[int, str]:
    found, place = dict[int, str](), 0
    for scale, depth in enumerate(depths, 1):
        for number in range(1, depth + 1):
            found[place] = f"conv{scale}_{number}"
            place += 2  # its ReLU
        place += 1  # a pooling
    return found


def _check_network(file: str, found: Mapping[str, Array]) -> None:
    layers = {name.partition(".")[0] for name in found}
    for network, depths in _DEPTHS.items():
        if layers == set(_layers(depths).values()) and network != "VGG-19":
            raise WeightsRefused(f"{file}: a {network}; {WANTED}")
    if not layers:
        raise WeightsRefused(f"{file}: no layers of a VGG in it; {WANTED}")
    if missing := [name for name in TENSORS if name not in found]:
        raise WeightsRefused(f"{file}: not a whole VGG-19: {missing[0]} is not in it; {WANTED}")


def _check_chain(file: str, found: Mapping[str, Array]) -> None:
    """Each layer takes what the one before it gives. How many channels that are is left open: a network of the same
    structure with fewer of them works as well, and the tests use some."""
    channels = 3
    for layer in VGG19_LAYERS:
        kernels, bias = found[f"{layer}.weight"], found[f"{layer}.bias"]
        if kernels.shape != (len(kernels), channels, 3, 3) or bias.shape != (len(kernels),) or not len(kernels):
            raise WeightsRefused(
                f"{file}: {layer} has kernels of shape {kernels.shape} and {bias.shape} biases, where "
                f"(N, {channels}, 3, 3) and (N,) fit; {WANTED}"
            )
        if not (np.isfinite(kernels).all() and np.isfinite(bias).all()):
            raise WeightsRefused(f"{file}: {layer} has values that are no numbers: the file is damaged; fetch it again")
        channels = len(kernels)
