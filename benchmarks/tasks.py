"""What running a task costs besides the task, and what a running task costs the pictures beside it.

* Overhead: 200 steps of gradient descent on a hybrid of 512×512, in turn as a bare loop over the task and as a worker
  process runs it: inputs read, heartbeat, progress five times a second, history, checkpoints, result written.
* Beside: 500 pictures for a mosaic rule of a daemon, in turn while it has nothing else to do and while it runs a task;
  from the moment they appear until every result is there. Then the task is cancelled.

    python -m benchmarks.tasks               # 5 rounds
    python -m benchmarks.tasks --rounds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from skimage import data

from benchmarks.measured import wait_as_a_worker
from benchmarks.throughput import age, cores, make_backlog
from daemon.life.allocator import keep_pages
from daemon.options import TaskOptions
from daemon.tasks.attempt import Attempt
from daemon.tasks.folder import TaskFolder
from daemon.tasks.messages import Report, Run
from daemon.tasks.process import WorkerProcess
from export.store import GraphStore, child_environment
from kernels.chain import parse_chain
from kernels.spec import operators

STEPS = 200
PICTURES = 500
MOSAIC = "mosaic: {block: 16}"
CONFIG = """
version: 1
state_dir: {state}
rules:
- {{name: mosaic, watch: in, steps: [{mosaic}], output: "out/{{stem}}.{{ext}}"}}
- name: hybrid
  watch: pair
  inputs: {{near: "{{key}}.near.*", far: "{{key}}.far.*"}}
  steps: [hybrid: {{optimizer: gradient_descent, steps: 100000}}]
  output: "out/{{key}}.png"
"""


def hybrid_order(folder: Path) -> Run:
    """The order for 200 steps; its inputs are put into the folder."""
    files = TaskFolder(folder)
    files.write_input("near", np.ascontiguousarray(data.astronaut()))
    far = cv2.resize(np.asarray(data.chelsea()), (512, 512), interpolation=cv2.INTER_AREA)
    files.write_input("far", np.asarray(far, np.uint8))
    (step,) = parse_chain({"hybrid": {"optimizer": "gradient_descent", "steps": STEPS}})
    return Run(str(folder), step.name, dict(step.parameters), ("near", "far"), "key", 0, 2.0, None)


def bare(order: Run) -> float:
    """Seconds of the task alone."""
    files, operator = TaskFolder(Path(order.folder)), operators()[order.step]
    inputs = {role: torch.from_numpy(files.read(f"input-{role}")) for role in order.roles}
    thrift = {"thrift": 0} if operator.task and operator.task.savings else {}
    begun = time.perf_counter()
    for _ in operator.function(inputs, {}, **order.parameters, **thrift):
        pass
    return time.perf_counter() - begun


def worked(worker: WorkerProcess, order: Run, told: Callable[[Report], None]) -> float:
    """Seconds of the same in a worker, from the order to the result."""
    begun = time.perf_counter()
    Attempt(worker, order, hang=600, wanted=lambda: None, told=told).run()
    return time.perf_counter() - begun


def overhead(rounds: int) -> None:
    """Both ways in turn; prints the ratio."""
    torch.set_num_threads(cores())
    ratios, alone, reports = list[float](), list[float](), list[Report]()
    with tempfile.TemporaryDirectory() as place:
        worker = WorkerProcess(TaskOptions(device="cpu"), cores(), Path(place) / "worker.log")
        order = hybrid_order(Path(place) / "task")
        try:
            bare(order)
            worked(worker, order, reports.append)  # loads PyTorch
            for _ in range(rounds):
                reports.clear()
                Path(place, "task/checkpoint.safetensors").unlink(missing_ok=True)
                alone.append(bare(order))
                ratios.append(worked(worker, order, reports.append) / alone[-1])
        finally:
            worker.end()
    print(f"\n{STEPS} steps alone: {statistics.median(alone):.2f} s; as a worker runs them: ", end="")
    print(f"{statistics.median(ratios):.3f} times that ({min(ratios):.3f}–{max(ratios):.3f})")
    kinds = Counter(type(report).__name__ for report in reports)
    print("reports of the last: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))


class Daemon:
    """A daemon with both rules, in a folder of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        graphs = place / "var/graphs"
        GraphStore(graphs).ensure(parse_chain(yaml.safe_load(MOSAIC)))
        for folder in ("in", "pair", "out"):
            (place / folder).mkdir()
        (place / "config.yaml").write_text(CONFIG.format(state=place / "var", mosaic=MOSAIC))
        self._process = subprocess.Popen(
            self._words("run"), cwd=place, env=child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "daemon.cli", *words, "-c", str(self.place / "config.yaml")]

    def pictures(self, source: Path, turn: str) -> float:
        """Seconds until every picture of a backlog has its result; the backlog comes by rename, all at once."""
        wanted = len(list(source.iterdir()))
        target = self.place / f"in/{turn}"
        begun = time.perf_counter()
        source.rename(target)
        out = self.place / "out"
        while sum(1 for path in out.iterdir() if path.name.startswith(turn)) < wanted:
            time.sleep(0.01)
        return time.perf_counter() - begun

    def begin_task(self, name: str) -> None:
        """Drop a pair, and wait until its task makes steps."""
        for role, picture in (("near", data.astronaut()), ("far", data.chelsea())):
            cv2.imwrite(str(self.place / f"pair/.{name}.{role}.png"), picture[..., ::-1])
            (self.place / f"pair/.{name}.{role}.png").rename(self.place / f"pair/{name}.{role}.png")
        while not any(task["step"] for task in self.status()["tasks"]):
            time.sleep(0.2)

    def end_task(self) -> float:
        """Cancel it; seconds from the start of the command to its end, which is when the task has stopped."""
        (task,) = self.status()["tasks"]
        begun = time.perf_counter()
        words = [*self._words("cancel"), str(task["job"])]
        subprocess.run(words, check=True, env=child_environment(), stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun

    def status(self) -> dict[str, list[dict[str, int]]]:
        """What `darkroom status --json` says."""
        words = [*self._words("status"), "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=child_environment())
        told: dict[str, list[dict[str, int]]] = json.loads(done.stdout)
        return told

    def stop(self) -> None:
        """Ctrl-C."""
        self._process.terminate()
        self._process.wait(10)


def beside(rounds: int) -> None:
    """Backlogs with and without a task, in turn, in one daemon; prints the ratio of their speeds."""
    ratios, alone, stops = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "box"
        place.mkdir()
        daemon = Daemon(place)
        try:
            for turn in range(rounds + 1):  # the first warms everything up
                times = list[float]()
                for kind in ("alone", "beside"):
                    source = Path(name) / f"{kind}-{turn}"
                    make_backlog(source, PICTURES, 1280, 960)
                    age(source)
                    for path in source.iterdir():
                        path.rename(path.with_name(f"{kind}{turn}-{path.name}"))
                    if kind == "beside":
                        daemon.begin_task(f"task{turn}")
                    times.append(daemon.pictures(source, f"{kind}{turn}"))
                stopping = daemon.end_task()
                if turn:
                    stops.append(stopping)
                    alone.append(times[0])
                    ratios.append(times[0] / times[1])
        finally:
            daemon.stop()
    speed = PICTURES / statistics.median(alone)
    print(f"\n{PICTURES} JPEGs of 1280×960 through a mosaic: {speed:.0f} pictures/s alone; while a task runs ", end="")
    print(f"{statistics.median(ratios):.2f} times that ({min(ratios):.2f}–{max(ratios):.2f})")
    print(f"`darkroom cancel` of that task: {statistics.median(stops):.2f} s ({min(stops):.2f}–{max(stops):.2f})")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    wait_as_a_worker()
    keep_pages()  # as a worker does
    print(f"{time.strftime('%Y-%m-%d')}, {cores()} cores, PyTorch {torch.__version__}")
    overhead(options.rounds)
    beside(options.rounds)


if __name__ == "__main__":
    main()
