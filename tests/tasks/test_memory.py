"""What a worker needs for a task does not grow with the number of its steps."""

from __future__ import annotations

from pathlib import Path

from daemon.model import TaskOptions
from daemon.tasks.attempt import Attempt
from daemon.tasks.folder import TaskFolder
from daemon.tasks.messages import Run
from daemon.tasks.process import WorkerProcess
from kernels.chain import parse_chain
from tests.box import Pixels, wait_until

SHORT, LONG = 20, 200


def peak_mib(pid: int) -> float:
    """The most memory a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def test_many_steps_need_no_more_than_few(tmp_path: Path, photograph: Pixels) -> None:
    """Of gradient descent, whose losses are tensors: kept one by one they spoilt the heap, for 700 MB in 200 steps."""
    worker = WorkerProcess(TaskOptions(device="cpu"), 2, tmp_path / "log")
    try:
        wait_until(lambda: worker.receive(1.0) and worker.device, 120, "PyTorch to be loaded")
        peaks = list[float]()
        for steps in (SHORT, LONG):
            folder = TaskFolder(tmp_path / str(steps))
            for role in ("near", "far"):
                folder.write_input(role, photograph)
            (step,) = parse_chain([{"hybrid": {"optimizer": "gradient_descent", "steps": steps}}])
            order = Run(str(folder.path), step.name, dict(step.parameters), ("near", "far"), "k", 0, 3600.0, None)
            Attempt(worker, order, hang=600, wanted=lambda: None, told=lambda report: None).run()
            peaks.append(peak_mib(worker.pid))
    finally:
        worker.end()
    assert peaks[1] < peaks[0] + 100, peaks
