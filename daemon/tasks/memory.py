"""What memory a task may take, and what it took. Loads torch: for the worker only."""

from __future__ import annotations

import contextlib
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import torch

from daemon.life.allocator import idle
from daemon.tasks import control_group

SHARE = 0.75
"""Of the memory that is free now, to plan with: others will want some too."""
HEAP = 0.9
"""Of what `tasks.memory` leaves: a heap has holes."""
STATUS, MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5), clear_refs


def free_for(device: torch.device) -> int:
    """Bytes that a task may plan with on this device, above what the process has: the least of all bounds."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return max(0, int(min(_bounds())))


def _bounds() -> Iterator[float]:
    """What the machine has free, what is left to this process's control groups, and what `tasks.memory` leaves."""
    yield SHARE * _kilobytes(MEMINFO, "MemAvailable")
    yield from (SHARE * left for left in control_group.left())
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        # The heap gives its pages back but keeps the addresses, which count; what is idle in it will be used again.
        yield HEAP * (soft - _kilobytes(STATUS, "VmData") + idle())


class Peak:
    """The most memory that is taken from now on, above what is taken now."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
            return
        with contextlib.suppress(OSError):
            CLEAR_REFS.write_text(RESET_PEAK)
        self._before = _kilobytes(STATUS, "VmRSS")

    def read(self) -> int:
        """Bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        return max(0, _kilobytes(STATUS, "VmHWM") - self._before)


def _kilobytes(file: Path, name: str) -> int:
    """A line of a file of the kernel's, `Name:  123 kB`, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{file} has no {name}")
    return int(found[1]) << 10
