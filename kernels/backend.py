"""`torch` and `F` (torch.nn.functional), each loaded at its first use.

The daemon reads the operators' parameters but must never load torch (law 1), so importing an operator may not
either: what stands here looks like the two modules and imports them when an attribute is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

__all__ = ["F", "torch"]
