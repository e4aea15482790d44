"""What memory a task may plan with: the machine's, what its control groups leave of it, and our own bound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from daemon.tasks import control_group, memory
from tests.box import ENVIRONMENT

MIB = 1 << 20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel's files, to be written."""
    monkeypatch.setattr(control_group, "OWN", tmp_path / "own")
    monkeypatch.setattr(control_group, "ROOT", tmp_path / "cgroup")
    return tmp_path


def group(folder: Path, **files: str) -> None:
    """Files of a group; `memory_max` is memory.max, and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text + "\n")


def stat(**pages: int) -> str:
    return "\n".join(f"{name} {count * MIB}" for name, count in {"anon": 5, **pages}.items())


def told() -> list[float]:
    return [left / MIB for left in control_group.left()]


def test_the_second_interface(groups: Path) -> None:
    """A service's own group has a limit, and throttles before; its slice has another; the root has none."""
    (groups / "own").write_text("0::/system.slice/darkroom.service\n")
    root = groups / "cgroup"
    group(root / "system.slice", memory_max=str(900 * MIB), memory_current=str(100 * MIB), memory_stat=stat())
    group(
        root / "system.slice" / "darkroom.service",
        memory_max=str(500 * MIB), memory_high=str(400 * MIB), memory_current=str(300 * MIB),
        memory_stat=stat(inactive_file=150, slab_reclaimable=10, active_file=40),
    )  # fmt: skip
    assert told() == [360, 260, 800], "pages of files that the kernel gives up count as there"


def test_without_a_limit_there_is_no_bound(groups: Path) -> None:
    (groups / "own").write_text("0::/user.slice\n")
    group(groups / "cgroup" / "user.slice", memory_max="max", memory_high="max", memory_current="5", memory_stat=stat())
    assert told() == []
    (groups / "own").unlink()
    assert told() == []


def test_the_first_interface_in_a_container(groups: Path) -> None:
    """It tells the group's place on the host; what is seen inside is the container's own group, as the root."""
    (groups / "own").write_text("12:pids:/docker/4711\n9:cpu,memory:/docker/4711\n1:name=systemd:/docker/4711\n0::/\n")
    group(
        groups / "cgroup" / "memory",
        **{"memory_limit_in_bytes": str(512 * MIB), "memory_usage_in_bytes": str(200 * MIB)},
        memory_stat=stat(total_inactive_file=50, inactive_file=7),
    )
    assert told() == [362]


def test_the_least_of_all_is_what_a_task_may_plan_with(groups: Path) -> None:
    processor = torch.device("cpu")
    (groups / "own").write_text("0::/small\n")
    group(groups / "cgroup" / "small", memory_max=str(80 * MIB), memory_current=str(40 * MIB), memory_stat=stat())
    assert memory.free_for(processor) == memory.SHARE * 40 * MIB
    group(groups / "cgroup" / "small", memory_current=str(90 * MIB))
    assert memory.free_for(processor) == 0
    group(groups / "cgroup" / "small", memory_max="max")
    assert memory.free_for(processor) > 40 * MIB


BOUNDED = """
import resource, torch
from daemon.life.allocator import keep_pages
from daemon.tasks import memory
keep_pages()
memory.SHARE = 1e9  # whatever the machine has free
free = lambda: memory.free_for(torch.device("cpu")) >> 20
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, resource.RLIM_INFINITY))
before = free()
picture, wall = torch.zeros(500 << 20, dtype=torch.uint8), torch.zeros(100)
during = free()
del picture
print(before, during, free())
"""


def test_what_lies_idle_in_the_heap_counts_as_free() -> None:
    """After a large picture the addresses of the heap still count as data, but are there for the next one."""
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=120
    )
    before, during, after = map(int, done.stdout.split())
    assert 400 < before - during < 550
    assert abs(after - before) < 60
