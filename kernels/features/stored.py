"""darkroom's own file of weights: what its header tells, and the tensors in it, one by one. Torch-free at import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernels.backend import np
from kernels.features.convention import Convention, Mean
from kernels.features.recognise import Format, format_of, safetensors_header
from kernels.features.refused import WeightsRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[np.float32]

FORMAT = "1"
ADD_AGAIN = "add it again with `darkroom weights add`"


@dataclass(frozen=True, slots=True)
class Header:
    """Where weights come from, and what their input is: levels, red first, minus `mean`. `sha256` is the source's."""

    source: str
    sha256: str
    mean: Mean
    convention: Convention
    tensors: tuple[str, ...]
    checksum: str

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers there are, from the first to the last."""
        return tuple(name.removesuffix(".weight") for name in self.tensors if name.endswith(".weight"))

    def metadata(self) -> dict[str, str]:
        """As safetensors keeps it: words only."""
        return {
            "darkroom": FORMAT,
            "source": self.source,
            "sha256": self.sha256,
            "mean": json.dumps(self.mean),
            "convention": self.convention,
            "checksum": self.checksum,
        }


def is_ours(path: Path) -> bool:
    """Whether darkroom wrote a safetensors file."""
    with path.open("rb") as file:
        return "darkroom" in safetensors_header(path, file).get("__metadata__", {})


def header(path: Path) -> Header:
    """What a stored file tells of itself, read without any library. Raises WeightsRefused, and OSError."""
    if format_of(path) is not Format.SAFETENSORS:  # this finds one that is too short, too
        raise WeightsRefused(f"{path}: not weights that darkroom stored; {ADD_AGAIN}")
    with path.open("rb") as file:
        told = safetensors_header(path, file)
    words = told.pop("__metadata__", {})
    try:
        if words["darkroom"] != FORMAT:
            raise WeightsRefused(f"{path}: written by a newer darkroom; {ADD_AGAIN}")
        red, green, blue = (float(level) for level in json.loads(words["mean"]))
        convention = Convention(words["convention"])
        names = tuple(sorted(told, key=_in_order))
        return Header(words["source"], words["sha256"], (red, green, blue), convention, names, words["checksum"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, WeightsRefused):
            raise
        raise WeightsRefused(f"{path}: not weights that darkroom stored; {ADD_AGAIN}") from error


def _in_order(name: str) -> tuple[str, bool]:
    layer, _, part = name.partition(".")
    return layer, part == "bias"


def checksum_of(tensors: Mapping[str, Array]) -> str:
    """SHA-256 over names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].shape} ".encode())
        digest.update(np.ascontiguousarray(tensors[name], "<f4").data)
    return digest.hexdigest()


def content(tensors: Mapping[str, Array], made: Header) -> bytes:
    """The bytes of a stored file."""
    from safetensors.numpy import save

    return bytes(save(dict(tensors), metadata=made.metadata()))


def read(path: Path, names: Iterable[str]) -> tuple[dict[str, Tensor], Mean]:
    """The tensors named, on the processor, and the mean of their input. No other tensor is read from the disk."""
    mean = header(path).mean
    return dict(_tensors(path, names, "pt")), mean


def intact(path: Path) -> bool:
    """Whether every value is still the one that was written. Reads the whole file."""
    told = header(path)
    return checksum_of(dict(_tensors(path, told.tensors, "np"))) == told.checksum


def _tensors(path: Path, names: Iterable[str], framework: str) -> Iterable[tuple[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework, device="cpu") as file:
            for name in names:
                yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise WeightsRefused(f"{path}: damaged ({error}); {ADD_AGAIN}") from error
