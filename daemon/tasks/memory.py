"""What memory a task may take, and what it took. Loads torch: for the worker only."""

from __future__ import annotations

import contextlib
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import torch

SHARE = 0.75
"""Of the memory that is free now, to plan with: others will want some too."""
STATUS, MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")
CLEAR_REFS, GROUPS = Path("/proc/self/clear_refs"), Path("/sys/fs/cgroup")
RESET_PEAK = "5"  # proc(5), clear_refs


def free_for(device: torch.device) -> int:
    """Bytes that a task may plan with on this device, above what the process has: the least of all bounds."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return max(0, int(min(_bounds())))


def _bounds() -> Iterator[float]:
    """What the machine has free, what is left to this process's control groups, and what `tasks.memory` leaves."""
    yield SHARE * _kilobytes(MEMINFO, "MemAvailable")
    with contextlib.suppress(OSError, ValueError):
        own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        group = GROUPS / own[3:].lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(GROUPS):
                break
            yield from _left_to(folder)
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        yield 0.9 * (soft - _kilobytes(STATUS, "VmData"))  # a heap has holes


def _left_to(group: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError):
        yield SHARE * (int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))


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
