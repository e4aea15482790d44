"""What the control groups of this process leave it of the machine's memory, by either interface of the kernel.

What a group has used includes pages of files that were read or written lately, which the kernel gives up when others
are needed; those are left to be had. Sources: the kernel's admin-guide, cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OWN, ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class _Interface:
    """Names of a group's files, and in its `memory.stat` those of what can be given up."""

    limits: tuple[str, ...]
    used: str
    reclaimable: tuple[str, ...]


# Beyond `high` a group is slowed down until hardly anything moves.
_V2 = _Interface(("memory.max", "memory.high"), "memory.current", ("inactive_file", "slab_reclaimable"))
_V1 = _Interface(("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file",))


def left() -> Iterator[int]:
    """Bytes left below each limit of this process's groups and those around them; nothing where none is set."""
    with contextlib.suppress(OSError):
        for line in OWN.read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if not controllers:
                yield from _left_in(ROOT, place, _V2)
            elif "memory" in controllers.split(","):
                yield from _left_in(ROOT / "memory", place, _V1)


def _left_in(root: Path, place: str, interface: _Interface) -> Iterator[int]:
    """From the process's own group outwards. In a container the outermost that can be seen is the container's."""
    group = root / place.lstrip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            return
        for limit in interface.limits:
            with contextlib.suppress(OSError, ValueError):  # no such group here, or "max"
                yield int((folder / limit).read_text()) - _held(folder, interface)


def _held(folder: Path, interface: _Interface) -> int:
    """Bytes of a group that cannot be had without harm."""
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    reclaimable = sum(int(stat.get(name, 0)) for name in interface.reclaimable)
    return int((folder / interface.used).read_text()) - reclaimable
