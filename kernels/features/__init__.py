"""Feature networks: what they are, where their weights lie, how these are read, and the part of them that is used."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from kernels.backend import torch
from kernels.features import store
from kernels.features.efficientnet_lite0 import efficientnet_lite0
from kernels.features.kinds import KINDS, LITE0, RANDOM, VGG19
from kernels.features.trunk import Trunk
from kernels.features.vgg19 import MEAN, names_up_to, random_tensors, vgg19
from kernels.tasks import TaskBlocked

if TYPE_CHECKING:
    from pathlib import Path


class WeightsMissing(TaskBlocked):
    """A network is asked for whose weights are not here: which, and the command that gets them."""


def choose(network: str, layers: Collection[str]) -> str:
    """The network meant: `auto` is the first of KINDS that is there and has these layers. Raises WeightsMissing."""
    if network != "auto":
        _path(network)
        return network
    return next(name for name in available() if set(layers) <= set(KINDS[name].layers))


def judge_of(network: str) -> str | None:
    """The best network here that is another one; None if there is none, for one by chance does not judge another."""
    others = [name for name in available() if name != network and KINDS[name].layers != KINDS[network].layers]
    return next(iter(others), None)


def available() -> Iterator[str]:
    """The networks that can be used here, the best first; the last of them always can."""
    return (name for name in KINDS if name == RANDOM or store.find(name) is not None)


def identity(network: str) -> str:
    """A network with its weights, in a word that changes when they do. Raises WeightsMissing."""
    path = _path(network)
    return network if path is None else f"{network} {store.identity(path)}"


def load(network: str, wanted: Collection[str], device: torch.device) -> Trunk:
    """The network as far as the last of the layers wanted. One that was used before is still there.

    Raises WeightsMissing, and what reading its file raises.
    """
    return _loaded(network, identity(network), tuple(sorted(wanted)), device)


@functools.lru_cache(4)
def _loaded(network: str, name: str, wanted: tuple[str, ...], device: torch.device) -> Trunk:
    path = _path(network)
    if path is None:
        return vgg19(name, random_tensors(wanted), MEAN, wanted, device)
    if network == LITE0:
        return efficientnet_lite0(name, torch.load(path, map_location="cpu", weights_only=True), wanted, device)
    tensors, mean = store.read(path, names_up_to(wanted))
    return vgg19(name, tensors, mean, wanted, device)


def _path(network: str) -> Path | None:
    """The file of its weights; None for the network that needs none."""
    if network == RANDOM:
        return None
    if (path := store.find(network)) is None:
        other = ", or `darkroom weights add FILE` if you have them" if network == VGG19 else ""
        raise WeightsMissing(f"there are no weights of {network} here; `darkroom weights fetch {network}`{other}")
    return path
