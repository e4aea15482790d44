"""The values that travel through the house. Frozen: a stage makes a new one rather than change what it was given."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.groups.patterns import Pattern
from daemon.hooks.values import OnFailure, OnIdle
from daemon.intake.match import matches
from daemon.options import LogOptions, MetricsOptions, RuntimeOptions, TaskOptions
from daemon.publishing.template import Template
from daemon.state import State as State
from kernels.chain import Chain, task_of


def unfinished(counts: Mapping[State, int]) -> int:
    """Of jobs counted by state, those that go on by themselves: they wait or run."""
    return counts.get(State.WAITING, 0) + counts.get(State.RUNNING, 0)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one version of a file from the next without reading it: bytes, nanoseconds, inode."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """`when:` of a rule, tested on the decoded picture (pixels after EXIF orientation). None: not asked."""

    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    color: bool | None = None


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """`encode:` of a rule. Qualities are 1–100 as the codecs count them; None keeps the codec's default."""

    jpeg_quality: int = 92
    webp_quality: int = 90
    webp_lossless: bool = False


class SourceAction(enum.StrEnum):
    """What becomes of a source once its output is durable."""

    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """`source:` of a rule; `to` is set for MOVE only."""

    action: SourceAction = SourceAction.KEEP
    to: Template | None = None

    @property
    def folders(self) -> frozenset[str]:
        """The folder that sources are moved into, if they are."""
        return frozenset() if self.to is None else frozenset({self.to.folder})


class OnConflict(enum.StrEnum):
    """When the output exists and is not ours from the same source."""

    OVERWRITE = "overwrite"
    RENAME = "rename"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Input:
    """One of `inputs:` of a rule: the role of a picture, and its pattern, or the file that it is in every group."""

    role: str
    pattern: Pattern | None = None
    fixed: Path | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a group: its role, absolute path and version. `fixed`: the same in every group, and never touched."""

    role: str
    path: str
    fingerprint: Fingerprint
    fixed: bool = False


DEFAULT_MATCH = ("*.jpg", "*.jpeg", "*.png", "*.webp", "*.tif", "*.tiff", "*.bmp")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of config.yaml, every default filled in, every path absolute.

    A rule that only reports publishes no pictures; its `output` then says where error receipts go. One with `inputs`
    makes a job of each group of files, any other of each file. Of a rule with a task, `preview` is the seconds between
    two previews, and `trace` asks for the losses beside the output. `on_failure` and `on_idle` are told of its jobs.
    """

    name: str
    watch: tuple[Path, ...]
    chain: Chain
    output: Template
    recursive: bool = True
    match: tuple[str, ...] = DEFAULT_MATCH
    when: Conditions = field(default_factory=Conditions)
    encode: EncodeOptions = field(default_factory=EncodeOptions)
    on_conflict: OnConflict = OnConflict.OVERWRITE
    source: SourcePolicy = field(default_factory=SourcePolicy)
    retries: int = 3
    report: Path | None = None
    publishes: bool = True
    preview: float | None = None
    trace: bool = False
    inputs: tuple[Input, ...] = ()
    on_failure: OnFailure | None = None
    on_idle: OnIdle | None = None

    def takes(self, relative: str) -> bool:
        """Whether a path below a watched folder is one of this rule's."""
        return (self.recursive or "/" not in relative) and matches(self.match, relative)

    @property
    def results(self) -> tuple[str, ...]:
        """What the rule writes, for people: its output template, its report, or both."""
        output = (self.output.text,) if self.publishes else ()
        return (*output, f"{self.report}/report.html") if self.report else output

    @property
    def folders(self) -> frozenset[str]:
        """The folders that the rule writes into."""
        return frozenset({self.output.folder, *([str(self.report)] if self.report else [])})

    @property
    def is_task(self) -> bool:
        """Whether PyTorch runs it, in a worker process, rather than ONNX Runtime."""
        return task_of(self.chain) is not None

    @property
    def keeps_source(self) -> bool:
        """Whether sources stay where they are."""
        return self.source.action is SourceAction.KEEP


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """What the last done job of the same rule and file gave: its content and recipe, and the output it left."""

    job: int
    content: str
    recipe: str
    output: str
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of config.yaml. Durations are seconds."""

    path: Path
    state_dir: Path
    rules: tuple[Rule, ...]
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    settle: float = 0.5
    rescan: float = 300.0
    tasks: TaskOptions = field(default_factory=TaskOptions)
    log: LogOptions = field(default_factory=LogOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)

    def rule_names(self) -> tuple[str, ...]:
        """Their names, in the order in which they are written."""
        return tuple(rule.name for rule in self.rules)

    def rules_by_name(self) -> Mapping[str, Rule]:
        """Rules keyed by their name; names are unique once parsed."""
        return {rule.name: rule for rule in self.rules}


@dataclass(frozen=True, slots=True)
class Job:
    """One picture, or one group, under one rule. `path` is absolute; `relative` is below the watched folder `root`.

    A group has its name there, `{dir}/{key}`, and its fingerprint is of all its files together. `lacks` says what keeps
    it from being whole; None: nothing. `gone`: its file is new if it is seen again. `asked_again`: a user wants it done
    although its last output may stand.
    Times are seconds since the epoch; `attempts` counts the runs that ended in an error which may pass.
    """

    id: int
    rule: str
    root: str
    relative: str
    fingerprint: Fingerprint
    state: State
    reason: str
    attempts: int = 0
    not_before: float = 0.0
    output: str | None = None
    device: str | None = None
    created: float = 0.0
    updated: float = 0.0
    lacks: str | None = None
    gone: bool = False
    asked_again: bool = False

    @property
    def path(self) -> str:
        """The absolute path of the source; of a group, what its files would be called without their endings."""
        return f"{self.root}/{self.relative}"
