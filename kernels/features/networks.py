"""The networks that can be used here: chosen, told apart by their weights, loaded as far as they are needed."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NoReturn

from kernels.features import pickled, store
from kernels.features.convention import VGG_MEAN
from kernels.features.efficientnet_lite0 import efficientnet_lite0
from kernels.features.kinds import KINDS, LITE0, RANDOM, VGG19
from kernels.features.refused import WeightsRefused
from kernels.features.trunk import Trunk
from kernels.features.vgg19 import names_up_to, random_tensors, vgg19
from kernels.tasks import TaskBlocked

if TYPE_CHECKING:
    import torch


class WeightsMissing(TaskBlocked):
    """A network is asked for whose weights are not here, or damaged: which, and the command that gets them."""


def choose(network: str, layers: Collection[str]) -> str:
    """The network meant: `auto` is the first of KINDS whose weights are here and that has these layers.

    Raises WeightsMissing for one named that is not here, for layers of which no network here has all, and for weights
    that are damaged: nobody who has them wants a lesser network instead.
    """
    if network == "auto":
        fitting = [name for name in KINDS if set(layers) <= set(KINDS[name].layers)]
        network = next((name for name in fitting if name == RANDOM or store.find(name)), fitting[0])
    identity(network)
    return network


def judge_of(network: str) -> str | None:
    """The best other network here, of another kind; None where there is none."""
    others = (name for name in available() if KINDS[name].layers != KINDS[network].layers)
    return next(others, None)


def available() -> Iterator[str]:
    """The networks that can be used here, the best first; the last of them always can."""
    for name in KINDS:
        try:
            identity(name)
        except WeightsMissing:
            continue
        yield name


def identity(network: str) -> str:
    """A network with its weights, in a word that changes when they do. Raises WeightsMissing."""
    if network == RANDOM:
        return RANDOM
    if (path := store.find(network)) is None:
        _missing(network)
    try:
        return store.identity(path)
    except (WeightsRefused, OSError) as error:
        raise WeightsMissing(str(error)) from error


def _missing(network: str) -> NoReturn:
    remedy = f"`darkroom weights fetch {network}` gets them" if network == VGG19 else "`darkroom weights` tells how"
    raise WeightsMissing(f"there are no weights of {network} here; {remedy}")


def load(network: str, wanted: Collection[str], device: torch.device) -> Trunk:
    """The network as far as the last of the layers wanted. The few used last are still there, for the next job.

    Raises WeightsMissing.
    """
    try:
        return _loaded(network, identity(network), tuple(sorted(wanted)), device)
    except (WeightsRefused, OSError) as error:
        raise WeightsMissing(str(error)) from error


@functools.lru_cache(4)
def _loaded(network: str, name: str, wanted: tuple[str, ...], device: torch.device) -> Trunk:
    path = store.find(network)
    if path is None:
        return vgg19(name, random_tensors(wanted), VGG_MEAN, wanted, device)
    if network == LITE0:
        return efficientnet_lite0(name, pickled.read(path), wanted, device)
    tensors, mean = store.read(
        path, [f"{layer}.{kind}" for layer in names_up_to(wanted) for kind in ("weight", "bias")]
    )
    return vgg19(name, tensors, mean, wanted, device)
