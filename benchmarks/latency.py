"""How long one picture takes through an idle daemon, and how long the daemon takes to be ready.

Each picture is written and closed as a copy would be; the clock runs from the close until its output has its final
name. Part of that is the quiet that a closed file is asked for (50 ms, see `settle` in docs/watching.md).

    python -m benchmarks.latency
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.throughput import BACKLOGS, REPOSITORY, make_backlog
from daemon.intake.settle import CLOSED_QUIET
from export.store import GraphStore
from kernels.chain import parse_chain

PICTURES = 30
STARTS = 5


def start(config: Path) -> tuple[subprocess.Popen[str], float]:
    """Start the daemon; the process, and the seconds until it said that it is ready."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    begun = time.perf_counter()
    command = [sys.executable, "-m", "daemon.cli", "run", "-c", str(config)]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("ready"):
            return child, time.perf_counter() - begun
    raise RuntimeError("the daemon ended before it was ready")


def stop(child: subprocess.Popen[str]) -> float:
    """End the daemon as Ctrl-C does; the seconds that took."""
    begun = time.perf_counter()
    child.terminate()
    child.communicate(timeout=20)
    return time.perf_counter() - begun


def drop(content: bytes, inbox: Path, outbox: Path, name: str) -> float:
    """Seconds from the close of a new file to its published output."""
    (inbox / name).write_bytes(content)
    begun = time.perf_counter()
    while not (outbox / name).exists():
        time.sleep(0.0005)
    return time.perf_counter() - begun


def tell(what: str, seconds: list[float]) -> None:
    """One row of the table."""
    low, middle, high = (f"{1000 * value:,.0f}" for value in (min(seconds), statistics.median(seconds), max(seconds)))
    print(f"| {what} | {middle} | {low} | {high} |")


def main() -> None:
    """Print the table as Markdown."""
    print(f"{time.strftime('%Y-%m-%d')}\n\n| what | median ms | lowest | highest |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        box = Path(name)
        GraphStore(box / "var/graphs").ensure(parse_chain([{"mosaic": {"block": 16}}]))
        config = box / "config.yaml"
        config.write_text(
            "version: 1\nrules:\n  - {name: mosaic, watch: in, steps: [mosaic: {block: 16}], output: 'out/{name}'}\n"
        )
        starts, ends = [], []
        for _ in range(STARTS):
            child, seconds = start(config)
            starts.append(seconds)
            ends.append(stop(child))
        tell("start to ready, graph in the store", starts)
        tell("SIGTERM to the end of an idle daemon", ends)
        child, _ = start(config)
        for size, (_, width, height) in BACKLOGS.items():
            make_backlog(box / size, PICTURES, width, height)
            contents = [path.read_bytes() for path in sorted((box / size).iterdir())]
            taken = [drop(c, box / "in", box / "out", f"{width}-{i}.jpg") for i, c in enumerate(contents)]
            tell(f"{size}: close to published", taken)
            tell(f"{size}: the same less {1000 * CLOSED_QUIET:.0f} ms of quiet", [t - CLOSED_QUIET for t in taken])
        stop(child)


if __name__ == "__main__":
    main()
