"""A worker from nearby: its memory, and what becomes of one that nobody follows any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.options import TaskOptions
from daemon.tasks.attempt import Attempt
from daemon.tasks.folder import TaskFolder
from daemon.tasks.messages import Finished, Report, Run, Stepped
from daemon.tasks.process import WorkerProcess
from kernels.chain import parse_chain
from tests.box import Pixels, wait_until

SHORT, LONG = 20, 200


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    """One that has loaded PyTorch."""
    made = WorkerProcess(TaskOptions(device="cpu"), 2, tmp_path / "log")
    try:
        wait_until(lambda: made.receive(1.0) and made.device, 120, "PyTorch to be loaded")
        yield made
    finally:
        made.end()


def descend(
    worker: WorkerProcess,
    place: Path,
    picture: Pixels,
    steps: int,
    told: Callable[[Report], None] = lambda report: None,
) -> Finished:
    """So many steps of gradient descent on it."""
    folder = TaskFolder(place / str(steps))
    for role in ("near", "far"):
        folder.write_input(role, picture)
    (step,) = parse_chain([{"hybrid": {"optimizer": "gradient_descent", "steps": steps}}])
    order = Run(str(folder.path), step.name, dict(step.parameters), ("near", "far"), "k", 0, 3600.0, None)
    return Attempt(worker, order, hang=600, wanted=lambda: None, told=told).run()


def peak_mib(pid: int) -> float:
    """The most memory a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def test_many_steps_need_no_more_memory_than_few(worker: WorkerProcess, tmp_path: Path, photograph: Pixels) -> None:
    """Of gradient descent, whose losses are tensors: kept one by one they spoilt the heap, for 700 MB in 200 steps."""
    peaks = list[float]()
    for steps in (SHORT, LONG):
        assert descend(worker, tmp_path, photograph, steps).steps == steps
        peaks.append(peak_mib(worker.pid))
    assert peaks[1] < peaks[0] + 100, peaks


def test_its_threads_sleep_when_they_wait_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at once: waking them takes as long as a small step of a network. What the user set stands."""
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    made = WorkerProcess(TaskOptions(device="cpu"), 1, tmp_path / "log")
    try:
        environment = Path(f"/proc/{made.pid}/environ")
        told = wait_until(environment.read_bytes, what="the program of the process").split(b"\0")
        assert {b"OMP_WAIT_POLICY=ACTIVE", b"GOMP_SPINCOUNT=2000"} <= set(told)
    finally:
        made.kill()


def test_one_that_is_not_followed_to_the_end_is_ended(worker: WorkerProcess, tmp_path: Path, small: Pixels) -> None:
    """Or the next task would hear its reports."""

    def told(report: Report) -> None:
        if isinstance(report, Stepped):
            raise ZeroDivisionError("a fault of ours")

    with pytest.raises(ZeroDivisionError):
        descend(worker, tmp_path, small, 100_000, told)
    assert not worker.alive
