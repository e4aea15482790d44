"""How near a card comes to the limit of its memory, and what is left of it from file to file.

For each operator and chain, over sizes and batches up to 64 megapixels:

* `resident`: the batch lies on the device and stays there; what the operator itself takes. Bytes in and out (8-bit
  pixels, and the few numbers of a measurement) over seconds are its traffic; over the bandwidth of a plain copy, also
  counted in and out, they say how near it is to the limit of memory: 1.0 would be a copy.
* `through`: the same from and to host memory, as the daemon runs it: gathered, uploaded, run, fetched.

The copy is measured the same way as the operators: a graph of one Identity, input and output bound to buffers on the
device, the best of several runs after a first one that is not counted, over more bytes than any cache holds. (On the
processor it is the same graph, on one core, as every run of the daemon has; small batches fit into its caches there.)

With `tensorrt`, where it proves itself, beside CUDA: engines for the size and batches up to the one measured, built
before the clock starts. At last the whole daemon over JPEGs, beside the codec floor: decode and encode on all cores.

Without a card it measures the processor, with small sizes, and says so.

    python -m benchmarks.gpu --json gpu.json
    python -m benchmarks.gpu --device cpu --quick
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.throughput import age, by_codec_alone, cores, make_backlog, time_daemon, time_pool
from daemon.runtime import Runtime
from daemon.runtime.choice import Choice, choose, plan_for, try_device
from daemon.runtime.devices import AUTO, Device, EngineError, NotUsable
from daemon.runtime.ort import OnnxRuntime
from daemon.runtime.providers import Bucket, Plan
from daemon.runtime.tensorrt import open_bucket
from export import OPSET
from export.golden import pattern
from export.store import GraphStore
from kernels.chain import parse_chain

CHAINS: dict[str, Any] = {
    "mosaic 16": [{"mosaic": {"block": 16}}],
    "gaussian_blur 3": [{"gaussian_blur": {"sigma": 3}}],
    "pool_upsample 8": [{"pool_upsample": {"scale": 8}}],
    "grayscale": ["grayscale"],
    "resize 256": [{"resize": {"size": 256}}],
    "psnr after pooling": [{"pool_upsample": {"scale": 8}}, "psnr"],
    "pool_upsample_psnr": ["pool_upsample_psnr"],
    "grayscale, blur, mosaic": ["grayscale", {"gaussian_blur": {"sigma": 3}}, {"mosaic": {"block": 8}}],
}
SIZES = {"256×256": (256, 256), "1280×960": (960, 1280), "4000×3000": (3000, 4000)}
CARD_PIXELS, CPU_PIXELS, QUICK_PIXELS = 64_000_000, 2_500_000, 300_000
COPY_PIXELS = 64_000_000  # 192 MB in and as much out
STEP = 8  # from one batch of the sweep to the next
RUNS, WITHIN = 10, 2.0  # the best of so many runs, or of as many as fit into so many seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One chain, one size, one batch, one device. Seconds are of the best run; `near` is traffic over copy."""

    chain: str
    device: str
    size: str
    batch: int
    resident: float | None
    through: float | None
    traffic: int
    near: float | None
    fault: str = ""

    @property
    def pictures(self) -> float:
        """Pictures a second, resident."""
        return self.batch / self.resident if self.resident else 0.0


def best(run: Callable[[], object]) -> float:
    """Seconds of the best run, after one that is not counted: it allocates, and chooses algorithms."""
    run()
    begun, times = time.perf_counter(), list[float]()
    while len(times) < RUNS and (not times or time.perf_counter() - begun < WITHIN):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


class Resident:
    """A session whose input and outputs stay on the device."""

    def __init__(self, session: Any, device: Device, batch: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        place = "cpu" if device is Device.CPU else "cuda"
        self._binding = session.io_binding()
        self._input = onnxruntime.OrtValue.ortvalue_from_numpy(batch, place, 0)
        self._binding.bind_ortvalue_input("input", self._input)
        for output in session.get_outputs():
            self._binding.bind_output(output.name, place, 0)
        self._session = session

    def run(self) -> None:
        """One run, to its end."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    @property
    def traffic(self) -> int:
        """Bytes in and out of one run."""
        outputs = self._binding.get_outputs()
        return int(self._input.tensor_size_in_bytes() + sum(value.tensor_size_in_bytes() for value in outputs))


def copy_graph() -> bytes:
    """A graph that copies bytes."""
    sides: list[str | int | None] = ["batch", "height", "width", 3]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["output"])],
        "copy",
        [helper.make_tensor_value_info("input", TensorProto.UINT8, sides)],
        [helper.make_tensor_value_info("output", TensorProto.UINT8, sides)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class Bench:
    """A device to be measured. `most` bounds the pixels of a batch."""

    def __init__(self, choice: Choice, most: int, work: Path) -> None:
        self.engine, self.choice, self.most, self.work = OnnxRuntime(), choice, most, work
        self.device = Device.CUDA if choice.device is Device.TENSORRT else choice.device
        self.plan = plan_for(self.device, choice.gpu)
        self.store = GraphStore(work / "graphs")
        self.runtime = Runtime(self.device, 1)
        self.bandwidth = self._bandwidth()

    def _bandwidth(self) -> float:
        """Bytes a second of a copy on the device, in and out, of more than any cache holds."""
        batch = np.resize(pattern((1, 512, 512)), (1, 8000, COPY_PIXELS // 8000, 3))
        copy = Resident(self.engine.open(copy_graph(), self.plan).native, self.device, batch)
        seconds = best(copy.run)
        return copy.traffic / seconds

    def sweep(self, chains: list[str], devices: list[Device]) -> Iterator[Row]:
        """Chains over every size and batch; CUDA and TensorRT of the same case one after the other."""
        for name in chains:
            graph = self.store.ensure(parse_chain(CHAINS[name]))
            for size, (height, width) in SIZES.items():
                for count in self._batches(height * width):
                    batch = pattern((count, height, width))
                    for device in devices:
                        yield self._measure(name, graph, device, size, batch)

    def _batches(self, pixels: int) -> list[int]:
        most = self.most // pixels
        counts = [1]
        while counts[-1] * STEP < most:
            counts.append(counts[-1] * STEP)
        return [] if not most else sorted({*counts, most})

    def _measure(self, name: str, graph: Path, device: Device, size: str, batch: Any) -> Row:
        try:
            session = self._open(graph, device, batch.shape)
            resident = Resident(session, self.device, batch)
            seconds = best(resident.run)
            through = best(lambda: self.runtime.run(graph, list(batch))) if device is self.device else None
        except Exception as error:  # noqa: BLE001 - a case that a device has no memory for must not end the sweep
            reason = str(error).strip().splitlines()[0][:200]
            return Row(name, device, size, len(batch), None, None, 0, None, reason)
        traffic = resident.traffic
        return Row(name, device, size, len(batch), seconds, through, traffic, traffic / seconds / self.bandwidth)

    def _open(self, graph: Path, device: Device, shape: tuple[int, ...]) -> Any:
        if device is not Device.TENSORRT:
            return self.engine.open(graph, self.plan).native
        assert self.choice.gpu is not None
        count, height, width, _ = shape
        folder = self.work / f"engine-{graph.stem[:12]}-{count}x{height}x{width}"
        folder.mkdir(exist_ok=True)
        opened: tuple[Any, Plan] = open_bucket(
            self.engine, graph, self.choice.gpu, Bucket(height, width, count), folder
        )
        return opened[0].native


def whole_daemon(device: str, number: int, size: tuple[int, int], work: Path, graphs: Path) -> dict[str, float]:
    """Pictures a second of the whole daemon from its `ready` line on, and of the codec floor on all cores."""
    height, width = size
    inbox = work / f"in-{number}-{width}"
    make_backlog(inbox, number, width, height)
    age(inbox)
    floor = time_pool(by_codec_alone, inbox, work / f"floor-{number}-{width}")
    run = time_daemon(work / f"box-{number}-{width}", inbox, graphs, head=f"runtime: {{device: {device}}}")
    return {"pictures": number, "floor": number / floor, "daemon": number / run.working, "share": floor / run.working}


def prepared(wanted: str, engine: OnnxRuntime) -> tuple[Choice, str]:
    """The device to measure, and what to say about it."""
    choice = choose(wanted, engine)
    if choice.device is Device.CPU:
        why = choice.line.partition("; ")[2] if wanted == AUTO else "as asked for"
        return choice, f"ONLY THE PROCESSOR WAS MEASURED ({why})"
    assert choice.gpu is not None
    return choice, f"{choice.gpu.label}, driver {choice.gpu.driver}"


def devices_of(choice: Choice, engine: OnnxRuntime) -> tuple[list[Device], str]:
    """What to measure side by side, and why TensorRT is not among it."""
    if choice.device not in (Device.CUDA, Device.TENSORRT):
        return [choice.device], ""
    try:
        try_device(Device.TENSORRT, engine)
    except (NotUsable, EngineError) as error:
        return [Device.CUDA], f"TensorRT was not measured: {error}"
    return [Device.CUDA, Device.TENSORRT], ""


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "cores": str(cores())}
    for name in ("onnxruntime-gpu", "nvidia-cudnn-cu13", "nvidia-cublas", "tensorrt-cu13", "numpy", "darkroom"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def show(row: Row) -> str:
    """A line of the table."""
    if row.fault:
        return f"| {row.chain} | {row.device} | {row.size} | {row.batch} | – | – | – | {row.fault} |"
    through = f"{row.batch / row.through:,.0f}" if row.through else "–"
    gigabytes = row.traffic / (row.resident or 1) / 1e9
    return (
        f"| {row.chain} | {row.device} | {row.size} | {row.batch} | {row.pictures:,.0f} | {through} "
        f"| {gigabytes:,.1f} | {row.near:.2f} |"
    )


def main() -> None:
    """Print what was asked for, as Markdown; with `--json`, write it for programs too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=AUTO, choices=[AUTO, *Device])
    parser.add_argument("--quick", action="store_true", help="small batches only, and no daemon: does it run at all?")
    parser.add_argument("--only", action="append", choices=list(CHAINS), help="a chain; may be given several times")
    parser.add_argument("--pictures", type=int, help="of the whole daemon's backlog (default: 16384; on the CPU 2048)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--in", dest="folder", type=Path, help="work in this folder (default: a temporary one)")
    options = parser.parse_args()
    engine = OnnxRuntime()
    choice, told = prepared(options.device, engine)
    devices, missing = devices_of(choice, engine)
    on_cpu = choice.device is Device.CPU
    most = QUICK_PIXELS if options.quick else CPU_PIXELS if on_cpu else CARD_PIXELS
    print(f"{time.strftime('%Y-%m-%d')}: {told}\n{missing}".rstrip())
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        bench = Bench(choice, most, Path(name))
        print(f"a copy on the device: {bench.bandwidth / 1e9:,.1f} GB/s, in and out\n")
        print("| chain | device | size | batch | resident/s | through/s | GB/s | of a copy |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        rows = list[Row]()
        for row in bench.sweep(options.only or list(CHAINS), devices):
            rows.append(row)
            print(show(row), flush=True)
        daemon = {}
        if not options.quick:
            number = options.pictures or (2048 if on_cpu else 16384)
            for size in ("256×256", "1280×960"):
                share = number if size == "256×256" else max(16, number // 8)
                daemon[size] = whole_daemon(choice.device, share, SIZES[size], Path(name), bench.store.directory)
                print(f"\nwhole daemon, mosaic, {size}: {daemon[size]['daemon']:,.0f} pictures/s, ", end="")
                print(f"{daemon[size]['share']:.2f} of the codec floor of {cores()} cores", flush=True)
        written = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": ["python", "-m", "benchmarks.gpu", *sys.argv[1:]],
            "measured": told,
            "only_cpu": on_cpu,
            "versions": versions(),
            "copy_bytes_per_second": bench.bandwidth,
            "rows": [asdict(row) for row in rows],
            "daemon": daemon,
        }
    if options.json is not None:
        options.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{told}")


if __name__ == "__main__":
    main()
