"""Compiled graphs, run on a device that is proven, not believed. The only room of the daemon that knows onnxruntime."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from daemon.errors import BlockedError, DarkroomError, PermanentError, TransientError, writing_failed
from daemon.runtime.batches import CPU_BATCH_PIXELS, card_batch
from daemon.runtime.choice import Choice, choose, plan_for, try_device
from daemon.runtime.devices import AUTO, Device, DeviceFault, EngineError, NotUsable, OutOfMemory, Unproven
from daemon.runtime.engine import Engine, Outputs, Pixels
from daemon.runtime.graph import Loaded, gathered, load, run
from daemon.runtime.once import Once
from daemon.runtime.ort import OnnxRuntime
from daemon.runtime.providers import Plan, tensorrt_rtx
from daemon.runtime.ran import Ran, joined

if TYPE_CHECKING:
    from daemon.runtime.tensorrt import Builder

__all__ = ["CPU_BATCH_PIXELS", "Device", "Pixels", "Ran", "Runtime"]

REST = 60.0
"""Seconds in which a named card that stopped working is not tried again."""

Tell: TypeAlias = Callable[[str], None]


class Runtime:
    """Graphs by file, opened and proven when first used.

    `device` is a name of config.yaml. On the processor `threads` runs go side by side, each on one core; a card is fed
    by one. `memory` (bytes) bounds the batches of a card, `cache` is where engines of TensorRT are kept (None: none are
    built), `tell` gets a line when a device changes under way.

    Raises NotUsable for a device that cannot be had: a named one is never replaced; with `auto` another takes over, and
    says so.
    """

    def __init__(
        self,
        device: str,
        threads: int,
        *,
        memory: int = 1 << 30,
        cache: Path | None = None,
        tell: Tell = lambda line: None,
        engine: Engine | None = None,
    ) -> None:
        self._engine = engine or OnnxRuntime()
        self._tell = tell
        self._may_degrade = device == AUTO
        self._cache = cache
        if cache is not None and cache.is_dir():
            from daemon.runtime.engine_cache import clear_leftovers

            clear_leftovers(cache)
        self._choice: Choice = choose(device, self._engine, cache)
        self._base = Device.CUDA if self._choice.device is Device.TENSORRT else self._choice.device
        self._builder = self._make_builder()
        self._graphs: Once[Path, Loaded] = Once(self._load)
        self._on_cpu: Once[Path, Loaded] = Once(self._load_on_cpu)
        self._lost: list[Loaded] = []
        self._given_up = ""
        self._rests_until = 0.0
        self._lock = threading.Lock()
        self._threads, self._card_batch = threads, card_batch(memory)

    @property
    def concurrent_runs(self) -> int:
        """How many runs go side by side. It changes when the processor takes over from a card."""
        return self._threads if self._base is Device.CPU else 1

    @property
    def batch_pixels(self) -> int:
        """Pixels of the batches to give it; it changes likewise."""
        return CPU_BATCH_PIXELS if self._base is Device.CPU else self._card_batch

    @property
    def device(self) -> str:
        """The device that graphs are opened on; a single graph may run on another, see `device_of`."""
        return self._base if self._builder is None or self._may_degrade else self._choice.device

    @property
    def choice(self) -> str:
        """With `auto`: what was taken and why nothing better, in one line; else ""."""
        return self._choice.line and (self._given_up or self._choice.line)

    @property
    def label(self) -> str:
        """The device for people, with the name of the card."""
        gpu = self._choice.gpu
        return self.device if gpu is None or self._base is Device.CPU else f"{self.device} ({gpu.name})"

    def device_of(self, graph: Path) -> str:
        """The device that a graph ran on last, or is opened on; "" before it is loaded."""
        loaded = self._graphs.get(graph)
        return "" if loaded is None else loaded.used

    def compared_with(self, graph: Path) -> str:
        """What a loaded graph was held against; "" if against nothing."""
        return self._graphs[graph].against

    def load(self, graph: Path) -> str:
        """Open a graph and prove it, ahead of its first picture. Why it is not on the device chosen; "" if it is.

        Raises DarkroomError if the file is no graph, or if a named device does not compute it rightly.
        """
        return self._graphs[graph].note

    def keep(self, graphs: Collection[Path]) -> None:
        """Close the other graphs that are open. One that is still needed after all is opened again.

        To free the memory of a card may wait for its work: not to be called by whoever must not wait.
        """
        self._graphs.keep(graphs)
        self._on_cpu.keep(graphs)
        if self._builder is not None and not self._lost:
            self._builder.keep(graphs)

    def run(self, graph: Path, pictures: Sequence[Pixels]) -> Ran:
        """Run pictures of one shape, each uint8 H×W×3, through a graph.

        Raises PermanentError when the graph cannot run them, TransientError when the card has no memory for one, and
        BlockedError when a named card no longer works.
        """
        loaded = self._graphs[graph]
        if time.monotonic() < self._rests_until:
            raise BlockedError(self._given_up)  # a batch is halved to find the picture at fault: none is
        try:
            parts = self._on_engine(loaded, pictures)
            device = Device.TENSORRT
            if parts is None:
                parts, device = run(loaded, pictures), loaded.device
        except OutOfMemory as error:
            parts, device = self._without_card(graph, pictures, error), Device.CPU
        except DeviceFault as error:
            parts, device = self._after_fault(graph, pictures, error), Device.CPU
        except EngineError as error:
            raise PermanentError(f"the graph could not run it ({error})") from error
        loaded.used = device
        return joined(parts, device)

    def close(self, timeout: float = 1.0) -> bool:
        """Build no more engines. False if a build goes on, or a lost card's sessions are there: freeing can hang."""
        return (self._builder is None or self._builder.close(timeout)) and not self._lost

    # -- graphs --------------------------------------------------------------------------------------------------

    def _load(self, graph: Path) -> Loaded:
        try:
            return load(self._engine, graph, self._plan(graph))
        except (Unproven, EngineError) as error:
            why = str(error)
            if not self._may_degrade or self._base is Device.CPU:
                raise DarkroomError(_not_proven(graph, self._base, why)) from error
        loaded = self._load_on_cpu(graph)
        loaded.note = f"runs on the cpu, not on {self._base}: {why}"
        return loaded

    def _plan(self, graph: Path) -> Plan:
        gpu = self._choice.gpu
        if self._base is not Device.TENSORRT_RTX or gpu is None or self._cache is None:
            return plan_for(self._base, gpu)
        from daemon.runtime.engine_cache import folder_for

        try:
            folder = folder_for(self._cache, graph, gpu, self._engine.versions(Device.TENSORRT_RTX))
        except OSError as error:
            self._tell(f"{self._base}: keeps nothing of what it compiles: {writing_failed(str(self._cache), error)}")
            return tensorrt_rtx(None)
        return tensorrt_rtx(folder)

    def _load_on_cpu(self, graph: Path) -> Loaded:
        try:
            return load(self._engine, graph, plan_for(Device.CPU, None))
        except (Unproven, EngineError) as error:
            raise DarkroomError(_not_proven(graph, Device.CPU, str(error))) from error

    # -- TensorRT ------------------------------------------------------------------------------------------------

    def _make_builder(self) -> Builder | None:
        gpu, cache = self._choice.gpu, self._cache
        if not self._choice.tensorrt or gpu is None or cache is None:
            return None
        from daemon.runtime.tensorrt import Builder  # not for a machine that has no card

        return Builder(self._engine, gpu, cache, tell=self._tell, must_gain=self._may_degrade)

    def _on_engine(self, loaded: Loaded, pictures: Sequence[Pixels]) -> list[Outputs] | None:
        """Run on TensorRT if its engine for these pictures is ready; None where CUDA is to do it."""
        if self._builder is None or loaded.device is not Device.CUDA or loaded.float64 or self._base is Device.CPU:
            return None  # TensorRT makes float32 of float64 (onnx-tensorrt's list of operators): not the same levels
        height, width = pictures[0].shape[:2]
        if (built := self._builder.find(loaded.graph, (height, width))) is None:
            self._builder.saw(loaded.graph, (height, width), loaded.session, loaded.shape_nodes, len(pictures))
            return None
        try:
            starts = range(0, len(pictures), built.most)
            return [built.session.run(gathered(built.session, pictures[at : at + built.most])) for at in starts]
        except EngineError as error:
            self._builder.drop(loaded.graph, (height, width), str(error))
            return None

    # -- when the card fails -------------------------------------------------------------------------------------

    def _without_card(self, graph: Path, pictures: Sequence[Pixels], error: OutOfMemory) -> list[Outputs]:
        """A single picture is too large for the card's free memory: with `auto` the processor takes it."""
        if not self._may_degrade:
            raise TransientError(
                f"{self._base}: the card has no memory for it ({error}); "
                "free some (`nvidia-smi` tells who holds it), or write `device: auto`"
            ) from error
        return self._run_on_cpu(graph, pictures)

    def _after_fault(self, graph: Path, pictures: Sequence[Pixels], error: DeviceFault) -> list[Outputs]:
        """The card reported a fault. If it still works, the picture is at fault; if not, it is given up."""
        if self._base is Device.CPU:  # given up meanwhile, while this graph was being opened on it
            return self._run_on_cpu(graph, pictures)
        try:
            try_device(self._base, self._engine)
        except NotUsable:
            pass
        else:
            raise PermanentError(f"the graph could not run it ({error})") from error
        remedy = "start darkroom again; if that does not help, see what `nvidia-smi` and `dmesg` say"
        if not self._may_degrade:
            self._given_up = f"{self._base} stopped working ({error}); {remedy}"
            self._rests_until = time.monotonic() + REST
            raise BlockedError(self._given_up) from error
        self._give_up_card(f"{self._base} stopped working ({error}): the cpu goes on; {remedy}")
        return self._run_on_cpu(graph, pictures)

    def _give_up_card(self, line: str) -> None:
        with self._lock:
            if self._base is Device.CPU:
                return
            self._base = Device.CPU
            self._lost += self._graphs.all()  # kept: to free memory of a card that is gone can hang
            self._graphs, self._given_up = Once(self._load), line
            if self._builder is not None:
                self._builder.stop()  # kept all the same: a build that is under way is waited for at the end
        self._tell(line)

    def _run_on_cpu(self, graph: Path, pictures: Sequence[Pixels]) -> list[Outputs]:
        try:
            return run(self._on_cpu[graph], pictures)
        except EngineError as error:
            raise PermanentError(f"the graph could not run it ({error})") from error


def _not_proven(graph: Path, device: Device, why: str) -> str:
    remedy = "remove the file, it is built again" if device is Device.CPU else "write `device: auto`, or another device"
    return f"{graph}: cannot be used on {device}: {why}; {remedy}"
