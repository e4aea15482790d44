"""The PU-PSNR study beside decoding alone, and what its report costs.

For 2048 JPEGs of 256×256 made from real photographs, in turn and several times over, in one run:

* `decode`: a resident thread pool that only reads and decodes, with darkroom's codec;
* `study`: `darkroom run --once`, whole process from start to end, report included;
* `working`: the same run counted from its `ready` line, which leaves out Python's start.

The report is timed by itself, over numbers like those of photographs, with the pictures that it shows rendered once.

    python -m benchmarks.study                  # 5 rounds, then the report over 12,000 pictures
    python -m benchmarks.study --pictures 12000 --rounds 1
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.throughput import age, cores, make_backlog, photographs, ratio, time_daemon, time_pool
from daemon.codec import decode, probe
from daemon.model import State
from daemon.report.values import Study
from daemon.report.writer import ReportWriter
from export.store import GraphStore
from kernels.chain import describe, parse_chain
from kernels.measuring import series_of

STEPS = "pool_upsample_psnr"
RULE = f"steps: [{STEPS}], report: report"


def by_decoding(source: Path, target: Path) -> None:
    """Read and decode one picture; nothing is written."""
    data = source.read_bytes()
    decode(data, probe(data, 1 << 30))


def measure(number: int, rounds: int, work: Path) -> None:
    """Both ways, several rounds; prints a table."""
    inbox, graphs = work / "in", work / "graphs"
    make_backlog(inbox, number, 256, 256)
    age(inbox)
    GraphStore(graphs).ensure(parse_chain(STEPS))
    seconds: dict[str, list[float]] = {"decode": [], "study": [], "working": []}
    peak = 0
    for turn in range(rounds):
        seconds["decode"].append(time_pool(by_decoding, inbox, work / f"none-{turn}"))
        box = work / f"box-{turn}"
        run = time_daemon(box, inbox, graphs, RULE)
        assert (box / "report/report.html").exists()
        seconds["study"].append(run.seconds)
        seconds["working"].append(run.working)
        peak = max(peak, run.peak)
    print(f"\n{number} JPEGs of 256×256, {rounds} rounds; the daemon's peak memory {peak / 2**20:.0f} MiB\n")
    print("| way | pictures/s (median) | speed over decoding |\n| --- | --- | --- |")
    for way, times in seconds.items():
        print(f"| {way} | {number / statistics.median(times):,.0f} | {ratio(seconds['decode'], times)} |")


def measure_report(number: int, rounds: int, folder: Path) -> None:
    """The report of a study over so many pictures: seconds and bytes."""
    study, shown = invented(number), photographs()
    writer, seconds = ReportWriter(), list[float]()
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        writer.write(folder, study, lambda source: shown[int(source) % len(shown)])
        seconds.append(time.perf_counter() - begun)
    first, *again = seconds
    print(f"\nThe report over {number:,} pictures: {first:.2f} s at first, then {statistics.median(again):.2f} s")
    for path in sorted(folder.iterdir()):
        print(f"    {path.name}: {path.stat().st_size / 1e6:.2f} MB")


def invented(number: int) -> Study:
    """A study with numbers like those of photographs: normal in decibels, lower at greater scales."""
    chain = parse_chain(STEPS)
    series = series_of(chain)
    random = np.random.default_rng(0)
    means = np.array([28 - 2.5 * np.log2(each.scale or 1) for each in series])
    mse: NDArray[np.float64] = 10 ** (-random.normal(means, 3.0, (number, len(series))) / 10)
    mse[:, 0] = 0.0
    return Study(
        rule="bench",
        steps=describe(chain),
        series=series,
        size=256,
        pictures=[f"{index:06}.jpg" for index in range(number)],
        sources=[str(index) for index in range(number)],
        mse=mse,
        counts={State.DONE: number},
        skipped=[],
        failed=[],
        devices={"cpu": number},
        left_out=0,
        updated=time.time(),
    )


def main() -> None:
    """Print what was asked for, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=2048)
    parser.add_argument("--report", type=int, default=12_000, metavar="N", help="pictures of the report timed alone")
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}, {cores()} cores")
    with tempfile.TemporaryDirectory() as name:
        measure_report(options.report, options.rounds, Path(name) / "report")
        measure(options.pictures, options.rounds, Path(name))


if __name__ == "__main__":
    main()
