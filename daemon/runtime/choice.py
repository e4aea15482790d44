"""Which device: the named one, or an error; with `auto` the best that proves itself, and why not the better ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.runtime import providers
from daemon.runtime.devices import AUTO, Device, EngineError, Gpu, NotUsable, Unproven
from daemon.runtime.engine import Engine, Session
from daemon.runtime.proof import Expectation, prove
from daemon.runtime.providers import Bucket, Plan

ORDER = (Device.CUDA, Device.TENSORRT_RTX)
"""What `auto` tries before the processor. TensorRT is no place to start from: its engines take their time to build. It
joins CUDA while that works; see tensorrt.py."""
DOCTOR = "see `darkroom doctor`, or write `device: auto`"


@dataclass(frozen=True, slots=True)
class Choice:
    """The device to start with. `gpu` is the card, `rejected` says why better ones are not used.

    `tensorrt`: whether TensorRT's engines are to be built for it.
    """

    device: Device
    gpu: Gpu | None = None
    rejected: Mapping[Device, str] = field(default_factory=dict)
    tensorrt: bool = False
    named: bool = True

    @property
    def line(self) -> str:
        """In one line for people, for `auto`; "" where the user chose."""
        if self.named:
            return ""
        joining = ", tensorrt joins where its engines are faster" if self.tensorrt else ""
        return f"device: auto takes {self.device}{joining}{self._why_not()}"

    def _why_not(self) -> str:
        """Devices that failed for the same reason are told together."""
        causes: dict[str, list[str]] = {}
        for device, cause in self.rejected.items():
            causes.setdefault(cause, []).append(device)
        return "".join(f"; not {', '.join(devices)}: {cause}" for cause, devices in causes.items())


def choose(wanted: str, engine: Engine, cache: Path | None = None) -> Choice:
    """Try devices until one is proven; TensorRT's engines are kept in `cache`. Raises NotUsable for a named device."""
    if wanted == AUTO:
        return _best(engine)
    device = Device(wanted)
    return Choice(device, try_device(device, engine, cache), tensorrt=device is Device.TENSORRT)


def _best(engine: Engine) -> Choice:
    rejected: dict[Device, str] = {}
    for device in ORDER:
        if (gpu := _tried(device, rejected, lambda device: try_device(device, engine))) is not None:
            # Its libraries are enough to begin with: each engine is proven when it is built.
            joins = device is Device.CUDA and _tried(Device.TENSORRT, rejected, engine.require) is not None
            return Choice(device, gpu, rejected, joins, named=False)
        if device is Device.CUDA:
            rejected[Device.TENSORRT] = rejected[Device.CUDA]  # it stands on CUDA's libraries and driver
    return Choice(Device.CPU, None, rejected, named=False)


def _tried(device: Device, rejected: dict[Device, str], attempt: Callable[[Device], Gpu | None]) -> Gpu | None:
    try:
        return attempt(device)
    except NotUsable as error:
        rejected[device] = error.cause
        return None


def try_device(device: Device, engine: Engine, cache: Path | None = None) -> Gpu | None:
    """Run a picture through a device. The card, if it is one. Raises NotUsable.

    The processor is taken as it is: every rule's own graph proves it when it is loaded, against PyTorch.
    """
    gpu = engine.require(device)
    if gpu is None:
        return None
    if device is Device.TENSORRT:
        try_device(Device.CUDA, engine)  # serves while engines are built, and what TensorRT cannot do
        _run_probe_tensorrt(engine, gpu, cache)
    else:
        run_probe(device, lambda graph: _open(engine, graph, plan_for(device, gpu)))
    return gpu


def _open(engine: Engine, graph: bytes, plan: Plan) -> tuple[Session, Plan]:
    return engine.open(graph, plan), plan


def run_probe(device: Device, open_graph: Callable[[bytes], tuple[Session, Plan]]) -> None:
    """A picture through the built-in graph. Raises NotUsable."""
    from export.anatomy import anatomy  # needs onnx: not for a machine that has no card
    from export.probe import probe_golden, probe_graph

    graph = probe_graph()
    try:
        prove(*open_graph(graph), Expectation(anatomy(graph).shape_nodes, probe_golden()))
    except (Unproven, EngineError) as error:
        raise NotUsable(device, f"it does not prove itself: {error}", DOCTOR) from error


def _run_probe_tensorrt(engine: Engine, gpu: Gpu, cache: Path | None) -> None:
    """The probe's engine is kept too: TensorRT's first build in a process takes seconds, loading one does not."""
    import tempfile

    from daemon.runtime import engine_cache
    from daemon.runtime.tensorrt import open_bucket
    from export.probe import SHAPE, probe_graph

    batch, height, width = SHAPE
    bucket = Bucket(height, width, batch)
    parts = {**engine.versions(Device.TENSORRT), **engine_cache.parts_of(probe_graph(), gpu, bucket)}
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            with engine_cache.place(cache or Path(nowhere), parts) as folder:
                run_probe(Device.TENSORRT, lambda graph: open_bucket(engine, graph, gpu, bucket, folder))
        except OSError as error:
            cause = f"its engines cannot be kept in {cache} ({error.strerror})"
            raise NotUsable(Device.TENSORRT, cause, "make the folder writable") from error


def plan_for(device: Device, gpu: Gpu | None) -> Plan:
    """How sessions for pictures of any size are opened on a device; TensorRT's stand on CUDA's."""
    if device is Device.CPU or gpu is None:
        return providers.cpu()
    return providers.tensorrt_rtx(None) if device is Device.TENSORRT_RTX else providers.cuda(gpu.free)
