"""`torch`, `F` (torch.nn.functional) and `np` (NumPy), each loaded at its first use.

The daemon reads the operators' parameters but must never load torch (law 1), and `darkroom jobs` need not wait for
NumPy: what stands here looks like the modules and imports them when an attribute is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    import torch.nn.functional as F
else:

    class _Deferred:
        """Stands for a module until it is needed."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

    torch = _Deferred("torch")
    F = _Deferred("torch.nn.functional")
    np = _Deferred("numpy")

__all__ = ["F", "np", "torch"]
