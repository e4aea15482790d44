"""The mappings in config.yaml, each with its keys, types and bounds: `runtime`, `tasks`, `metrics`, `when`, …"""

from __future__ import annotations

import os
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from daemon.config.types import (
    FORMS,
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
from daemon.model import (
    Conditions,
    EncodeOptions,
    MetricsOptions,
    RuntimeOptions,
    SourceAction,
    SourcePolicy,
    TaskOptions,
)
from kernels.chain import Fault as StepFault

_RUNTIME = RuntimeOptions()
_ENCODE = EncodeOptions()
_TASKS = TaskOptions()
MAX_TASKS = 64


class Shape(BaseModel):
    """A mapping of config.yaml: no other keys, and no value taken for a value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class RuntimeShape(Shape):
    """`runtime:`"""

    device: Literal["auto", "cpu", "cuda", "tensorrt", "tensorrt-rtx"] = Field(
        default="auto", description="What computes."
    )
    memory: Memory = Field(default=_RUNTIME.memory, description="Bound on decoded pixels in flight, in bytes.")
    workers: Workers = Field(
        default="auto", description="Decode and encode threads; auto: the cores this process may use."
    )
    max_pixels: PictureSize = Field(
        default=_RUNTIME.max_pixels, description="Pixels of one picture; larger ones are refused."
    )

    def build(self) -> RuntimeOptions:
        """The frozen value."""
        cores = min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        workers = cores if self.workers == "auto" else self.workers
        return RuntimeOptions(self.device, self.memory, workers, self.max_pixels)


class TasksShape(Shape):
    """`tasks:`"""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="What PyTorch computes on.")
    concurrency: Annotated[int, Field(ge=1, le=MAX_TASKS)] = Field(
        default=_TASKS.concurrency, description="Tasks at a time, each in a process of its own."
    )
    memory: Memory | None = Field(default=None, description="Bound on the data of one task's process, in bytes.")
    checkpoint: Checkpoint = Field(default=_TASKS.checkpoint, description="How often a running task is saved.")
    idle: Idle = Field(default=_TASKS.idle, description="How long a process without work is kept.")
    hang: Hang = Field(default=_TASKS.hang, description="A task that makes no step for so long is ended.")

    def build(self) -> TaskOptions:
        """The frozen value."""
        return TaskOptions(**(self.model_dump() | {"memory": self.memory or 0}))


class MetricsShape(Shape):
    """`metrics:`"""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="TCP port for Prometheus, on 127.0.0.1 only.", examples=[9464]
    )
    socket: SocketPath | None = Field(
        default=None,
        description="Or a Unix socket, for the daemon's user and group only.",
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

    min_width: Pixels | None = None
    min_height: Pixels | None = None
    max_width: Pixels | None = None
    max_height: Pixels | None = None
    color: bool | None = Field(default=None, description="true: colour pictures only; false: grey ones only.")

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

    jpeg_quality: Percent = _ENCODE.jpeg_quality
    webp_quality: Percent = _ENCODE.webp_quality
    webp_lossless: bool = _ENCODE.webp_lossless

    def build(self) -> EncodeOptions:
        """The frozen value."""
        return EncodeOptions(**self.model_dump())


class MoveShape(Shape):
    """`move:` of `source:`"""

    to: PathTemplate = Field(examples=["originals/{dir}/{name}"], description="Where the source goes.")


class SourceShape(Shape):
    """`source:` written as a mapping."""

    move: MoveShape = Field(examples=['{to: "originals/{dir}/{name}"}'])


Source: TypeAlias = Annotated[
    Annotated[SourceWord, Tag(FORMS[0])] | Annotated[SourceShape, Tag(FORMS[1])], Discriminator(form_of)
]


def policy(source: str | SourceShape) -> SourcePolicy:
    """The frozen value of `source:`."""
    if isinstance(source, SourceShape):
        return SourcePolicy(SourceAction.MOVE, source.move.to)
    return SourcePolicy(SourceAction(source))
