"""How many pictures a second the real daemon makes, beside what the machine could do at best.

For each backlog of JPEGs made from real photographs, in turn and several times over, in one run:

* `floor`: decode and encode only, with darkroom's own codecs, in a resident thread pool: the codec floor;
* `opencv`: a resident OpenCV thread pool doing the same mosaic: read, mosaic, write;
* `opencv+turbo`: the same pool with darkroom's JPEG codec in place of OpenCV's, so that only the rest is compared;
* `daemon`: `darkroom run --once`, whole process from start to end, durable outputs and ledger included;
* `working`: the same run counted from its `ready` line, which leaves out Python's start.

Both pools encode what the daemon encodes: the mosaicked picture at quality 92. Machines are shared and noisy: the
ratios are taken within one round, and their median is what counts.

    python -m benchmarks.throughput                 # both backlogs, 5 rounds
    python -m benchmarks.throughput --memory 20000  # memory over a long backlog
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from daemon.codec import Format, decode, encode, probe
from daemon.model import EncodeOptions
from export.store import GraphStore
from kernels.chain import parse_chain

Pixels = NDArray[np.uint8]
REPOSITORY = Path(__file__).parents[1]
BLOCK = 16
TAPS = np.array([1, 4, 6, 4, 1], np.float32) / 16
MOSAIC = f'steps: [mosaic: {{block: {BLOCK}}}], output: "out/{{stem}}.{{ext}}"'
BACKLOGS = {"256×256": (2048, 256, 256), "1280×960": (300, 1280, 960)}


def photographs() -> list[Pixels]:
    """Real photographs, RGB."""
    return [
        np.asarray(picture[..., :3]) for picture in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
    ]


def make_backlog(folder: Path, number: int, width: int, height: int) -> None:
    """`number` JPEGs of one size: crops of the photographs at varied places and scales, no two alike."""
    folder.mkdir(parents=True)
    random, sources = np.random.default_rng(0), photographs()
    for index in range(number):
        source = sources[index % len(sources)]
        share = random.uniform(0.5, 1.0)
        rows, columns = int(source.shape[0] * share), int(source.shape[1] * share)
        top = random.integers(0, source.shape[0] - rows + 1)
        left = random.integers(0, source.shape[1] - columns + 1)
        crop = cv2.resize(
            source[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_CUBIC
        )
        cv2.imwrite(str(folder / f"{index:05}.jpg"), crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def opencv_mosaic(picture: Pixels) -> Pixels:
    """The mosaic of mission S1 as a good OpenCV program writes it."""
    height, width = picture.shape[:2]
    rows = np.minimum(np.arange(0, height, BLOCK) + BLOCK // 2, height - 1)
    columns = np.minimum(np.arange(0, width, BLOCK) + BLOCK // 2, width - 1)
    cells = cv2.sepFilter2D(picture[rows][:, columns], -1, TAPS, TAPS, borderType=cv2.BORDER_REFLECT_101)
    size = (len(columns) * BLOCK, len(rows) * BLOCK)
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)[:height, :width], np.uint8)


def by_opencv(source: Path, target: Path) -> None:
    """Read, mosaic and write one picture with OpenCV alone."""
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    cv2.imwrite(str(target), opencv_mosaic(np.asarray(picture, np.uint8)), [cv2.IMWRITE_JPEG_QUALITY, 92])


def by_opencv_turbo(source: Path, target: Path) -> None:
    """The same with darkroom's codec."""
    bytes_in = source.read_bytes()
    decoded = decode(bytes_in, probe(bytes_in, 1 << 30))
    picture = np.ascontiguousarray(opencv_mosaic(decoded.pixels))
    target.write_bytes(encode(picture, None, decoded.metadata, Format.JPEG, EncodeOptions()))


def by_codec_alone(source: Path, target: Path) -> None:
    """Decode and encode one picture with darkroom's codec."""
    bytes_in = source.read_bytes()
    decoded = decode(bytes_in, probe(bytes_in, 1 << 30))
    target.write_bytes(encode(decoded.pixels, None, decoded.metadata, Format.JPEG, EncodeOptions()))


def time_pool(work: Callable[[Path, Path], None], inbox: Path, outbox: Path) -> float:
    """Seconds a resident pool of as many threads as cores needs for the backlog."""
    outbox.mkdir()
    sources = sorted(inbox.iterdir())
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda path: None, range(cores())))  # the threads are there before the clock starts
        begun = time.perf_counter()
        list(pool.map(lambda path: work(path, outbox / path.name), sources, chunksize=1))
        return time.perf_counter() - begun


@dataclass
class Run:
    """One run of the daemon: whole seconds, seconds from `ready`, and its memory as (time, bytes)."""

    seconds: float
    working: float
    memory: list[tuple[float, int]]

    @property
    def peak(self) -> int:
        return max((size for _, size in self.memory), default=0)


def time_daemon(box: Path, inbox: Path, graphs: Path, rule: str = MOSAIC, head: str = "") -> Run:
    """Run the real daemon over the backlog with `--once`, on an empty ledger, with one rule (its keys in YAML).

    `head` are further lines of config.yaml.
    """
    config = write_config(box, inbox, graphs, rule, head)
    command = [sys.executable, "-m", "daemon.cli", "run", "--once", "-c", str(config)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    begun = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    memory: list[tuple[float, int]] = []
    watcher = threading.Thread(target=lambda: memory.extend(watch_memory(child)))
    watcher.start()
    ready = begun
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("ready"):
            ready = time.perf_counter()
    assert child.wait() == 0
    ended = time.perf_counter()
    watcher.join()
    return Run(ended - begun, ended - ready, memory)


def write_config(box: Path, inbox: Path, graphs: Path, rule: str, head: str = "") -> Path:
    """A fresh daemon's folder with one rule, its graph already exported."""
    shutil.copytree(graphs, box / "var" / "graphs")
    config = box / "config.yaml"
    config.write_text(f"version: 1\n{head}\nrules: [{{name: bench, watch: {inbox}, {rule}}}]\n")
    return config


def watch_memory(child: subprocess.Popen[str]) -> Iterator[tuple[float, int]]:
    """The child's resident memory, ten times a second until it ends."""
    page = os.sysconf("SC_PAGE_SIZE")
    while child.poll() is None:
        try:
            pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        yield time.perf_counter(), pages * page
        time.sleep(0.1)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def age(folder: Path) -> None:
    """Wait until the backlog is older than `settle`, so that every way starts at once."""
    newest = max(path.stat().st_ctime for path in folder.iterdir())
    time.sleep(max(0.0, newest + 1.0 - time.time()))


def measure(name: str, rounds: int, work: Path, graphs: Path) -> None:
    """One backlog, all ways, several rounds; prints a table."""
    number, width, height = BACKLOGS[name]
    inbox = work / f"in-{number}"
    make_backlog(inbox, number, width, height)
    age(inbox)
    pools = {"floor": by_codec_alone, "opencv": by_opencv, "opencv+turbo": by_opencv_turbo}
    seconds: dict[str, list[float]] = {way: [] for way in (*pools, "daemon", "working")}
    peak = 0
    for turn in range(rounds):
        # Nothing is deleted between rounds: ext4 searches longer for inodes while many were freed a moment ago.
        for way, body in pools.items():
            seconds[way].append(time_pool(body, inbox, work / f"{way}-{turn}-{number}"))
        box = work / f"box-{turn}-{number}"
        run = time_daemon(box, inbox, graphs)
        assert len(list((box / "out").iterdir())) == number
        seconds["daemon"].append(run.seconds)
        seconds["working"].append(run.working)
        peak = max(peak, run.peak)
    print(f"\n{name}: {number} JPEGs, {rounds} rounds; the daemon's peak memory {peak / 2**20:.0f} MiB\n")
    print("| way | pictures/s (median) | daemon ÷ way | working ÷ way |\n| --- | --- | --- | --- |")
    for way, times in seconds.items():
        whole, working = (ratio(times, seconds[run]) for run in ("daemon", "working"))
        print(f"| {way} | {number / statistics.median(times):,.0f} | {whole} | {working} |")


def ratio(of: Sequence[float], to: Sequence[float]) -> str:
    """Speed of `to` over speed of `of`, round by round: median (lowest–highest)."""
    ratios = sorted(one / other for one, other in zip(of, to, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def measure_memory(number: int, work: Path, graphs: Path) -> None:
    """Memory of the daemon over a long backlog, by quarters of its working time."""
    originals = work / "originals"
    make_backlog(originals, 500, 256, 256)
    inbox = work / "in"
    inbox.mkdir()
    for index in range(number):
        shutil.copyfile(originals / f"{index % 500:05}.jpg", inbox / f"{index:05}.jpg")
    age(inbox)
    run = time_daemon(work / "box", inbox, graphs)
    begun = run.memory[-1][0] - run.working
    quarters: list[list[int]] = [[], [], [], []]
    for when, size in run.memory:
        if when >= begun:
            quarters[min(3, int(4 * (when - begun) / run.working))].append(size)
    print(f"\nMemory over {number:,} pictures of 256×256, {number / run.working:,.0f} pictures/s\n")
    print("| quarter | median MiB | peak MiB |\n| --- | --- | --- |")
    for index, sizes in enumerate(quarters):
        print(f"| {index + 1} | {statistics.median(sizes) / 2**20:.0f} | {max(sizes) / 2**20:.0f} |")
    print(f"\nlast ÷ first quarter: {statistics.median(quarters[3]) / statistics.median(quarters[0]):.3f}")


def main() -> None:
    """Print what was asked for, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(BACKLOGS))
    parser.add_argument("--memory", type=int, metavar="N", help="measure memory over N pictures instead")
    parser.add_argument("--in", dest="folder", type=Path, help="work in this folder (default: a temporary one)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        work, graphs = Path(name), Path(name) / "graphs"
        GraphStore(graphs).ensure(parse_chain([{"mosaic": {"block": BLOCK}}]))
        if options.memory:
            measure_memory(options.memory, work, graphs)
            return
        for backlog in [options.only] if options.only else BACKLOGS:
            measure(backlog, options.rounds, work, graphs)


if __name__ == "__main__":
    main()
