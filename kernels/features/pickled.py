"""PyTorch's files: tensors by name, and nothing else. A pickle that wants more than that is not loaded."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernels.backend import torch
from kernels.features.recognise import AGAIN, Format, format_of
from kernels.features.refused import WeightsRefused

if TYPE_CHECKING:
    from torch import Tensor

_FOREIGN = re.compile(r"[Uu]nsupported (?:global|class|operand)|not an allowed global|GLOBAL ")
_INSIDE = ("state_dict", "model", "model_state_dict")


def read(path: Path, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, Tensor]:
    """The tensors of a `.pth` whose names are wanted, on the processor. Raises WeightsRefused.

    A file of PyTorch 1.6 or later is mapped, so that what is not wanted is never read.
    """
    kind = format_of(path)
    if kind not in (Format.ZIP, Format.LEGACY):
        raise WeightsRefused(f"{path}: not a PyTorch file but {kind}; take another")
    told = _load(path, mapped=kind is Format.ZIP)
    inside = _inside(told)
    if not isinstance(inside, Mapping):
        raise WeightsRefused(f"{path}: a {type(inside).__name__}, not tensors by name; save a model's state_dict()")
    return {
        str(name): tensor.detach()
        for name, tensor in inside.items()
        if isinstance(tensor, torch.Tensor) and wanted(str(name))
    }


def _inside(told: Any) -> Any:
    """What a training script put around the tensors is taken off."""
    if not isinstance(told, Mapping):
        return told
    return next((told[key] for key in _INSIDE if isinstance(told.get(key), Mapping)), told)


def _load(path: Path, *, mapped: bool) -> Any:
    """`weights_only` lets a pickle make tensors and plain values: what would call anything else ends the loading."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mapped)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        if _FOREIGN.search(str(error)):
            raise WeightsRefused(
                f"{path}: it holds more than tensors, and is not loaded; take a file with a state_dict only"
            ) from error
        raise _damaged(path, error) from error
    except Exception as error:  # a damaged pickle ends in any of them
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsRefused:
    """PyTorch says how many bytes were still to come only for some; a file that just ends raises EOFError."""
    text = str(error).partition("\n")[0]
    broken_off = isinstance(error, EOFError) or "EOF" in text or "Ran out of input" in text
    size = f"{path.stat().st_size:,} bytes, and its tensors need more"
    return WeightsRefused(f"{path}: {f'truncated: {size}' if broken_off else f'damaged ({text[:120]})'}; {AGAIN}")
