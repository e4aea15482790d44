"""How a session is opened on each device: pure functions from what is known to options, each with its reason.

The names are those of ONNX Runtime 1.31: its pages on the CUDA and TensorRT execution providers, and for TensorRT-RTX
the header that its wheel 0.5.0 ships. An unknown option makes a provider refuse to start, so nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from daemon.runtime.devices import PROVIDERS, Device

Options: TypeAlias = Mapping[str, str]
Size: TypeAlias = tuple[int, int]

MEMORY_SHARE = 0.8
"""Of the memory that was free at the start: cuDNN's workspaces and the driver's own come on top of the arena, which is
all that `gpu_mem_limit` bounds (CUDA provider's page)."""
WORKSPACE_SHARE = 0.25  # of that: TensorRT may try kernels that need so much while it builds
LEAST_MEMORY = 256 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How to open a session. `providers` in order of preference; `entries` are session configuration entries.

    `size` fixes height and width of the input in the graph; the size of the batch stays free.
    """

    device: Device
    providers: tuple[tuple[str, Options], ...]
    entries: Options = field(default_factory=dict)
    size: Size | None = None

    @property
    def provider(self) -> str:
        """The provider that is to do the work."""
        return PROVIDERS[self.device]


def cpu() -> Plan:
    """The processor. Threads and arena are set for every session alike; see ort.py."""
    return Plan(Device.CPU, ((PROVIDERS[Device.CPU], {}),))


def memory_limit(free: int) -> int:
    """Bytes that the arena of a session may take, of `free` at the start."""
    return max(LEAST_MEMORY, int(free * MEMORY_SHARE))


def cuda_options(limit: int) -> Options:
    """Options of the CUDA provider; `limit` in bytes."""
    return {
        "device_id": "0",
        # The arena grows by what is asked for: by powers of two 16 GB once became 32 (onnxruntime #15983). It does
        # fragment this way (#14474), for which it is shrunk whenever the shape of the pictures changes; see cuda.py.
        "gpu_mem_limit": str(limit),
        "arena_extend_strategy": "kSameAsRequested",
        # TF32 keeps 10 bits of each factor: levels would differ from PyTorch's in every eighth value of a blur.
        "use_tf32": "0",
        # An exhaustive search would try every algorithm anew for each shape, of which a folder of pictures has many.
        "cudnn_conv_algo_search": "HEURISTIC",
        # 1 lets cuDNN take what it likes for a convolution; it is outside the limit. Fixed small kernels need little.
        "cudnn_conv_use_max_workspace": "0",
        # Copies in the stream of the computation: 0 is a data race for some graphs (onnxruntime #4829).
        "do_copy_in_default_stream": "1",
    }


GPU_ENTRIES: Options = {
    # What the proof reads: which node went to which provider (onnxruntime #26781).
    "session.record_ep_graph_assignment_info": "1",
    # Constants outside the arena; inside, they would keep it from being shrunk (onnxruntime #11801, #9509).
    "session.use_device_allocator_for_initializers": "1",
}


def cuda(free: int) -> Plan:
    """CUDA, with the processor behind it for the arithmetic of shapes; `free` bytes of memory on the card."""
    limit = memory_limit(free)
    both: tuple[tuple[str, Options], ...] = ((PROVIDERS[Device.CUDA], cuda_options(limit)), (PROVIDERS[Device.CPU], {}))
    return Plan(Device.CUDA, both, GPU_ENTRIES)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Pictures of one height and width, in batches of 1 to `most`."""

    height: int
    width: int
    most: int

    @property
    def key(self) -> str:
        """For file names and the cache's key."""
        return f"{self.most}x{self.height}x{self.width}"


def tensorrt_options(limit: int, engines: Path, timing: Path) -> Options:
    """Options of the TensorRT provider, without profiles; the folders hold built engines and measured kernel times.

    Its flags are the words True and False; it refuses to start on 1 and 0.
    """
    return {
        "device_id": "0",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(engines),
        # Shared by all engines of one card and version: it made builds of 34.6 s take 7.7 s (onnxruntime #14767).
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(timing),
        # Times of another card must be refused, not used (this is the default; it is what the key relies on).
        "trt_force_timing_cache": "False",
        "trt_max_workspace_size": str(int(limit * WORKSPACE_SHARE)),
        # Full precision: levels must not differ from PyTorch's. TF32 has no option; NVIDIA_TF32_OVERRIDE turns it off.
        "trt_fp16_enable": "False",
        "trt_bf16_enable": "False",
        "trt_int8_enable": "False",
        # One build at a time leaves the card to the pictures that CUDA serves meanwhile.
        "trt_force_sequential_engine_build": "True",
        # A captured graph replays fixed addresses (onnxruntime #19818); buffers here come and go with the batches.
        "trt_cuda_graph_enable": "False",
    }


def profile(bucket: Bucket) -> Options:
    """The explicit profile of a bucket: without one, a batch of another size rebuilds the engine in mid-run.

    The kernels are chosen for a full batch, since that is where time is spent.
    """
    least = f"input:1x{bucket.height}x{bucket.width}x3"
    most = f"input:{bucket.most}x{bucket.height}x{bucket.width}x3"
    return {"trt_profile_min_shapes": least, "trt_profile_opt_shapes": most, "trt_profile_max_shapes": most}


def tensorrt(free: int, engines: Path, timing: Path, bucket: Bucket, *, explicit: bool = True) -> Plan:
    """TensorRT for one bucket, with CUDA behind it for the nodes that TensorRT does not take.

    An explicit profile must name every input of every part of the graph that TensorRT takes, and where CUDA takes
    nodes in front of it, those are not `input` (onnxruntime #17007). Then `explicit=False`: the provider widens its
    profile to what it is shown, and is shown a full batch and a single picture before it is used.
    """
    limit = memory_limit(free)
    options = {**tensorrt_options(limit, engines, timing), **(profile(bucket) if explicit else {})}
    behind = cuda(free).providers
    return Plan(
        Device.TENSORRT, ((PROVIDERS[Device.TENSORRT], options), *behind), GPU_ENTRIES, (bucket.height, bucket.width)
    )


def tensorrt_rtx(cache: Path | None) -> Plan:
    """The TensorRT-RTX plugin. Its engines are compiled in seconds where they are needed, and kept in `cache`.

    Names as in tensorrt_rtx_provider_options.h of the wheel. No profile: sizes stay free in one session, for which it
    compiles kernels as they come; fixing them would mean a session for every shape.
    """
    options = {"enable_cuda_graph": "0"}  # a captured graph replays fixed shapes
    if cache is not None:
        options["nv_runtime_cache_path"] = str(cache)
    entries = {"session.record_ep_graph_assignment_info": "1"}
    return Plan(Device.TENSORRT_RTX, ((PROVIDERS[Device.TENSORRT_RTX], options),), entries)
