"""What metrics cost: the same backlog with nobody counting, and with metrics that are asked for once a second.

    python -m benchmarks.metrics --rounds 9

Processor time counts beside the clock: it tells more on a machine that others use.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import socket
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.throughput import BLOCK, age, cores, make_backlog, ratio, time_daemon
from export.store import GraphStore
from kernels.chain import parse_chain

PICTURES = 2048
EVERY = 1.0
"""Seconds between two questions; Prometheus asks every 15 or so."""


@contextlib.contextmanager
def asking(port: int, answers: list[float]) -> Iterator[None]:
    """Ask for the metrics again and again; the seconds that each answer took."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(EVERY if answers else 0.05):
            begun = time.perf_counter()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                page.read()
                answers.append(time.perf_counter() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    stop.set()
    thread.join()


def processor_time() -> float:
    """Seconds that the processes started here, and ended, have computed for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {"off": [], "on": []}
    processor: dict[str, list[float]] = {"off": [], "on": []}
    answers = list[float]()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        GraphStore(work / "graphs").ensure(parse_chain([{"mosaic": {"block": BLOCK}}]))
        make_backlog(work / "in", PICTURES, 256, 256)
        age(work / "in")
        for turn in range(rounds):
            for way in ("off", "on") if turn % 2 else ("on", "off"):
                with socket.create_server(("127.0.0.1", 0)) as free:
                    port = free.getsockname()[1]
                head = f"metrics: {{port: {port}}}" if way == "on" else ""
                told, before = list[float](), processor_time()
                with asking(port, told) if way == "on" else contextlib.nullcontext():
                    run = time_daemon(work / f"{way}-{turn}", work / "in", work / "graphs", head=head)
                seconds[way].append(run.working)
                processor[way].append(processor_time() - before)
                answers += told
    print(f"{time.strftime('%Y-%m-%d')}, {cores()} cores, {PICTURES} pictures of 256×256, {rounds} rounds\n")
    print("| metrics | pictures/s (median) | speed over off | processor time (median) | over that of off |")
    print("| --- | --- | --- | --- | --- |")
    for way, times in seconds.items():
        spent = f"{statistics.median(processor[way]):.2f} s | {ratio(processor[way], processor['off'])}"
        print(f"| {way} | {PICTURES / statistics.median(times):,.0f} | {ratio(seconds['off'], times)} | {spent} |")
    print(f"\n{len(answers)} answers during the work, {1000 * statistics.median(answers):.0f} ms each (median)")


if __name__ == "__main__":
    main()
