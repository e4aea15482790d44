"""Any of the files that people have with VGG-19 in them, as the one form that darkroom keeps.

Canonical are the tensors `conv1_1.weight` (O×I×3×3) and `conv1_1.bias` to `conv5_4.bias`, for pictures whose levels are
0 to 255, red first, after a mean was subtracted (convention.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernels.backend import np
from kernels.features import matconvnet, pickled
from kernels.features.convention import Convention, Mean, fold, mean_of, told_by
from kernels.features.known import Known, check_name, hashes_of, published
from kernels.features.layers import is_feature, named
from kernels.features.recognise import AGAIN, Format, format_of
from kernels.features.refused import WeightsRefused
from kernels.features.stored import Header, checksum_of, header, is_ours

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[np.float32]

FIRST = "conv1_1.weight"


@dataclass(frozen=True, slots=True)
class Converted:
    """Canonical tensors, where they come from, and how their convention was told."""

    tensors: dict[str, Array]
    header: Header
    known: Known | None
    told_by: str

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def convert(path: Path, convention: Convention | None = None, name: str = "") -> Converted:
    """Read a file of any format. Raises WeightsRefused, OSError, and ModuleNotFoundError where scipy is needed.

    `convention` is the user's word, which counts where the file itself does not tell; `name`: what the file was called
    where it was published, if it has another name here.
    """
    kind = format_of(path)
    if kind is Format.SAFETENSORS and is_ours(path):
        return _own(path, header(path))
    hashes = hashes_of(path)
    check_name(name or path.name, path.stat().st_size, hashes)
    known = published(hashes)
    read, mean = _read(path, kind)
    tensors = named(str(path), read)
    chosen, told = _convention(path, kind, read, tensors[FIRST], known, convention)
    tensors[FIRST] = fold(tensors[FIRST], chosen)
    source = known.title if known else f"{name or path.name} ({kind}, {chosen}'s convention)"
    made = Header(source, hashes["sha256"], mean or mean_of(chosen), chosen, tuple(tensors), checksum_of(tensors))
    return Converted(tensors, made, known, told)


def _read(path: Path, kind: Format) -> tuple[dict[str, Array], Mean | None]:
    """The tensors of the convolutions, by the file's own names, and the mean where the file has one."""
    if kind is Format.MAT:
        tensors, mean = matconvnet.read(path)
        return {name: tensor for name, tensor in tensors.items() if is_feature(name)}, mean
    if kind is Format.SAFETENSORS:
        return _safetensors(path), None
    return {name: _plain(tensor) for name, tensor in pickled.read(path, is_feature).items()}, None


def _safetensors(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: _plain(file.get_tensor(name)) for name in file.keys() if is_feature(name)}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsRefused(f"{path}: a damaged safetensors file ({error}); {AGAIN}") from error


def _plain(tensor: Tensor) -> Array:
    """A tensor of any sort of number as float32, in memory of its own: the file may be mapped."""
    return np.array(tensor.float().numpy(), np.float32)


def _convention(
    path: Path, kind: Format, read: dict[str, Array], first: Array, known: Known | None, said: Convention | None
) -> tuple[Convention, str]:
    """Whose convention the weights are for, and what told so. Raises WeightsRefused rather than guess."""
    found = _told(kind, read, first, known)
    if found is None and said is None:
        raise WeightsRefused(
            f"{path}: a VGG-19, but whether of Caffe's or of torchvision's convention cannot be told; "
            "say which with --convention caffe or --convention torchvision"
        )
    if found is None:
        assert said is not None
        return said, "as --convention says"
    if said not in (None, found[0]):
        raise WeightsRefused(f"{path}: its convention is {found[0]}'s, {found[1]}; leave out --convention {said}")
    return found


def _told(kind: Format, read: dict[str, Array], first: Array, known: Known | None) -> tuple[Convention, str] | None:
    if known:
        return known.convention, "by its hash"
    if kind is Format.MAT:
        return Convention.MATCONVNET, "by its format"
    if any(name.startswith("conv1_1") for name in read):  # Caffe's names of layers, as Gatys' file has them
        return Convention.CAFFE, "by the names of its layers"
    told = told_by(first)
    return None if told is None else (told, "by its first layer")


def _own(path: Path, own: Header) -> Converted:
    """A file that darkroom made, on this machine or another."""
    tensors = _safetensors(path)
    if checksum_of(tensors) != own.checksum:
        raise WeightsRefused(f"{path}: damaged: its tensors are not those that it was made with; {AGAIN}")
    tensors = named(str(path), tensors)
    return Converted(tensors, replace(own, tensors=tuple(tensors)), None, "as it was added elsewhere")
