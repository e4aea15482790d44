"""The published files of VGG-19: names, hashes, conventions, where they are to be had. Torch-free."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kernels.features.convention import Convention
from kernels.features.refused import WeightsRefused


@dataclass(frozen=True, slots=True)
class Known:
    """A published file. `hashes`: by algorithm, in full or as much of the beginning as was published."""

    name: str
    whose: str
    hashes: Mapping[str, str]
    convention: Convention
    url: str
    size: int | None = None

    @property
    def title(self) -> str:
        """As it is told to people."""
        return f"{self.whose} {self.name}"


_MAT = "imagenet-vgg-verydeep-19.mat"
_MAT_URL = "https://www.vlfeat.org/matconvnet/models"
TORCHVISION = Known(
    "vgg19-dcbb9e9d.pth",
    "torchvision's",
    {"sha256": "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"},
    Convention.TORCHVISION,
    "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    574_673_361,
)
KNOWN = (
    TORCHVISION,
    Known(
        "vgg19-d01eb7cb.pth",
        "Caffe's",
        {"sha256": "d01eb7cb"},
        Convention.CAFFE,
        "https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth",
    ),
    Known(
        "vgg19-74e45263.pth",
        "pystiche's",
        {"sha256": "74e45263"},
        Convention.CAFFE,
        "https://download.pystiche.org/models/vgg19-74e45263.pth",
    ),
    Known(
        _MAT,
        "MatConvNet's",
        {
            "sha256": "abdb57167f82a2a1fbab1e1c16ad9373411883f262a1a37ee5db2e6fb0044695",
            "md5": "106118b7cf60435e6d8e04f6a6dc3657",
        },
        Convention.MATCONVNET,
        f"{_MAT_URL}/{_MAT}",
    ),
    Known(
        _MAT,
        "MatConvNet's (beta16)",
        {"md5": "8ee3263992981a1d26e73b3ca028a123"},
        Convention.MATCONVNET,
        f"{_MAT_URL}/beta16/{_MAT}",
    ),
)
LITE0_SHA256 = "57934424"
"""How the hash of efficientnet-lite0's file begins."""

_HUB_NAME = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt)$")
_PIECE = 1 << 20


def hashes_of(path: Path) -> dict[str, str]:
    """A file's SHA-256 and MD5: of one of the published files no other hash is known."""
    found = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            for digest in found.values():
                digest.update(piece)
    return {name: digest.hexdigest() for name, digest in found.items()}


def published(hashes: Mapping[str, str]) -> Known | None:
    """The published file that has these hashes."""
    for known in KNOWN:
        if all(hashes[name].startswith(start) for name, start in known.hashes.items()):
            return known
    return None


def check_name(name: str, size: int, hashes: Mapping[str, str]) -> None:
    """Raises WeightsRefused for a file whose name tells its hash, as torch.hub's do, when it has another."""
    told = _HUB_NAME.search(name)
    whole = next((known.size for known in KNOWN if known.name == name and known.size), 0)
    if told and size < whole:
        raise WeightsRefused(f"{name}: truncated: {size:,} bytes, expected {whole:,}; fetch it again")
    if told and not hashes["sha256"].startswith(told[1]):
        beginning = hashes["sha256"][: len(told[1])]
        raise WeightsRefused(
            f"{name}: damaged: its SHA-256 begins with {beginning}, by its name it should begin with {told[1]}; "
            "fetch it again, or give it another name if it is another file"
        )
