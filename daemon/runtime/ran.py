"""What a run gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.runtime.engine import Outputs, Pixels


@dataclass(frozen=True, slots=True)
class Ran:
    """What a graph gave for a batch, and the device that it really ran on.

    `pictures` are uint8 H×W×3 results, or None where the chain only measures. `measures` are the graph's other outputs
    by name, float32 with one row a picture.
    """

    pictures: Sequence[Pixels] | None
    device: str
    measures: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


def joined(parts: Sequence[Outputs], device: str) -> Ran:
    """What a batch gave that ran in parts, one after the other on one device."""
    measures: dict[str, NDArray[Any]] = {
        name: parts[0][name] if len(parts) == 1 else np.concatenate([part[name] for part in parts])
        for name in parts[0]
        if name != "output"
    }
    pictures = [picture for part in parts for picture in part["output"]] if "output" in parts[0] else None
    return Ran(pictures, str(device), measures)
