"""The mappings in config.yaml, each with its keys, types and bounds: `runtime`, `tasks`, `metrics`, `when`, …"""

from __future__ import annotations

import os
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from daemon.config.types import (
    CHECKPOINT,
    FORMS,
    HANG,
    IDLE,
    MAX_WORKERS,
    Checkpoint,
    Hang,
    Idle,
    InnerError,
    KeyFault,
    Memory,
    PathTemplate,
    Percent,
    PictureSize,
    Pixels,
    SocketPath,
    SourceWord,
    Workers,
    form_of,
)
from daemon.config.values import MEMORY, PICTURE_SIZE
from daemon.model import Conditions, EncodeOptions, SourceAction, SourcePolicy
from daemon.options import LogFormat, LogOptions, MetricsOptions, RuntimeOptions, TaskOptions
from kernels.chain import Fault as StepFault

_RUNTIME = RuntimeOptions()
_ENCODE = EncodeOptions()
_TASKS = TaskOptions()
MAX_TASKS = 64


class Shape(BaseModel):
    """A mapping of config.yaml: no other keys, and no value taken for a value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, defer_build=True)


class RuntimeShape(Shape):
    """`runtime:`"""

    device: Literal["auto", "cpu", "cuda", "tensorrt", "tensorrt-rtx"] = Field(
        default="auto", description="what runs the graphs; `auto` takes the fastest that works here"
    )
    memory: Memory = Field(
        default=MEMORY.text(_RUNTIME.memory),
        validate_default=True,
        description="bound on the memory of pictures in flight; one that is larger still goes through, alone",
    )
    workers: Workers = Field(
        default="auto",
        description="threads that decode, run and encode; `auto` is the number of cores darkroom may use",
    )
    max_pixels: PictureSize = Field(
        default=PICTURE_SIZE.text(_RUNTIME.max_pixels),
        validate_default=True,
        description="a picture whose header announces more pixels fails before anything is decoded",
    )

    def build(self) -> RuntimeOptions:
        """The frozen value."""
        cores = min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        workers = cores if self.workers == "auto" else self.workers
        return RuntimeOptions(self.device, self.memory, workers, self.max_pixels)


class TasksShape(Shape):
    """`tasks:`"""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="what PyTorch computes on; `auto` takes a CUDA card if there is one"
    )
    concurrency: Annotated[int, Field(ge=1, le=MAX_TASKS)] = Field(
        default=_TASKS.concurrency,
        description="tasks at a time, each in a worker of its own; on the processor they share its cores",
    )
    memory: Memory | None = Field(
        default=None,
        description="bound on the data of one worker; a task that would need more runs out of memory, the machine"
        " does not",
    )
    checkpoint: Checkpoint = Field(
        default=CHECKPOINT.text(_TASKS.checkpoint),
        validate_default=True,
        description="how often a running task is saved; less often if saving takes more than a fiftieth of the time",
    )
    idle: Idle = Field(
        default=IDLE.text(_TASKS.idle),
        validate_default=True,
        description="a worker without work ends after this, and gives its memory back",
    )
    hang: Hang = Field(
        default=HANG.text(_TASKS.hang),
        validate_default=True,
        description="a task that makes no step and gives no other sign for so long is ended and tried again",
    )

    def build(self) -> TaskOptions:
        """The frozen value."""
        return TaskOptions(**(self.model_dump() | {"memory": self.memory or 0}))


class LogShape(Shape):
    """`log:`"""

    level: Literal["error", "warning", "info", "debug"] = Field(
        default="info",
        description="what is told: at `info` a line for each job, at `debug` for each batch too",
    )
    format: Literal["text", "json"] = Field(
        default="text", description="lines for people, or a JSON object in each line, for programs"
    )

    def build(self) -> LogOptions:
        """The frozen value."""
        return LogOptions(self.level, LogFormat(self.format))


class MetricsShape(Shape):
    """`metrics:`"""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="a TCP port, on 127.0.0.1 only", examples=[9464]
    )
    socket: SocketPath | None = Field(
        default=None,
        description="or a Unix socket, for the daemon's user and group only",
        examples=["run/metrics.sock"],
    )

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if self.port is None and self.socket is None:
            raise InnerError(StepFault((), "it says no place", "write port: 9464, or socket: run/metrics.sock"))
        if self.port is not None and self.socket is not None:
            raise InnerError(KeyFault(("socket",), "there is a port already", "remove one of the two"))
        return self

    def build(self) -> MetricsOptions:
        """The frozen value."""
        return MetricsOptions(**self.model_dump())


class WhenShape(Shape):
    """`when:` of a rule; widths and heights in pixels."""

    min_width: Pixels | None = Field(default=None, description="the picture has at least this many pixels across")
    min_height: Pixels | None = Field(default=None, description="the picture has at least this many pixels down")
    max_width: Pixels | None = Field(default=None, description="the picture has at most this many pixels across")
    max_height: Pixels | None = Field(default=None, description="the picture has at most this many pixels down")
    color: bool | None = Field(default=None, description="`true`: the picture is in colour; `false`: it is gray")

    @model_validator(mode="after")
    def _some_picture_fits(self) -> Self:
        for side, low, high in (
            ("width", self.min_width, self.max_width),
            ("height", self.min_height, self.max_height),
        ):
            if low and high and low > high:
                problem = f"no picture fits: {high} is less than min_{side}, {low}"
                raise InnerError(StepFault((f"max_{side}",), problem, f"give {low} or more"))
        return self

    def build(self) -> Conditions:
        """The frozen value."""
        return Conditions(**self.model_dump())


class EncodeShape(Shape):
    """`encode:` of a rule."""

    jpeg_quality: Percent = Field(default=_ENCODE.jpeg_quality, description="quality of JPEG outputs")
    webp_quality: Percent = Field(default=_ENCODE.webp_quality, description="quality of lossy WebP outputs")
    webp_lossless: bool = Field(
        default=_ENCODE.webp_lossless,
        description="write every WebP without loss; with `false`, a lossless source still gives a lossless output",
    )

    def build(self) -> EncodeOptions:
        """The frozen value."""
        return EncodeOptions(**self.model_dump())


class MoveShape(Shape):
    """`move:` of `source:`"""

    to: PathTemplate = Field(examples=["originals/{dir}/{name}"], description="where the source goes")


class SourceShape(Shape):
    """`source:` written as a mapping."""

    move: MoveShape = Field(
        examples=['{to: "originals/{dir}/{name}"}'], description="move the source once its output is durable"
    )


Source: TypeAlias = Annotated[
    Annotated[SourceWord, Tag(FORMS[0])] | Annotated[SourceShape, Tag(FORMS[1])], Discriminator(form_of)
]


def policy(source: str | SourceShape) -> SourcePolicy:
    """The frozen value of `source:`."""
    if isinstance(source, SourceShape):
        return SourcePolicy(SourceAction.MOVE, source.move.to)
    return SourcePolicy(SourceAction(source))
