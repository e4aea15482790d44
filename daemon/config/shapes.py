"""The shape of config.yaml: every key with its type, bounds and default. What `check` and the JSON Schema both read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator

from daemon.config import roles
from daemon.config.hooks import OnFailureKey, OnIdleKey
from daemon.config.parts import (
    EncodeShape,
    LogShape,
    MetricsShape,
    RuntimeShape,
    Shape,
    Source,
    SourceShape,
    TasksShape,
    WhenShape,
    policy,
)
from daemon.config.types import (
    DEFAULT_STATE_DIR,
    Folder,
    InnerError,
    Inputs,
    Name,
    PathTemplate,
    Preview,
    Rescan,
    Settle,
    Steps,
    Text,
    Watch,
)
from daemon.model import DEFAULT_MATCH, Input, OnConflict, Rule
from daemon.publishing.template import Template
from kernels.chain import Fault as StepFault
from kernels.chain import task_of
from kernels.measuring import series_of
from kernels.spec import operators


class RuleShape(Shape):
    """One rule: which pictures are taken, what is done with them, where the results go."""

    name: Name = Field(examples=["mosaic"], description="shown by `darkroom status`, stands for `{rule}` in templates")
    watch: Watch = Field(
        examples=["inbox/mosaic"],
        json_schema_extra={"$comment": "a path, or a list of paths"},
        description="where pictures are taken from; no folder twice, none in `state_dir`",
    )
    recursive: bool = Field(default=True, description="whether pictures in subfolders are taken too")
    match: Annotated[list[Text], Field(min_length=1)] = Field(
        default=list(DEFAULT_MATCH),
        json_schema_extra={"$comment": "a list, at least one"},
        description="file name patterns; a file that matches one of them is taken",
    )
    when: WhenShape = Field(
        default_factory=WhenShape, description="conditions on the picture; one that does not meet them is `skipped`"
    )
    steps: Steps = Field(
        examples=["[grayscale]"], description="what is done, in this order; which steps there are: docs/operators.md"
    )
    inputs: Inputs = Field(
        default=(),
        validate_default=True,
        description="for a task of several pictures: a pattern or a file for each role; such a task needs it",
    )
    report: Folder | None = Field(
        default=None,
        description="folder of the report of a rule that measures, docs/study.md: `report.html`, `report.csv`,"
        " `report.json`; none that another rule has",
    )
    output: PathTemplate | None = Field(
        default=None,
        validate_default=True,
        examples=["outbox/{dir}/{stem}.{ext}"],
        description="where the result goes; required, but in a rule with a `report`",
    )
    encode: EncodeShape = Field(default_factory=EncodeShape, description="how the result is encoded")
    on_conflict: Literal["overwrite", "rename", "skip"] = Field(
        default="overwrite",
        description="when the output exists and is not what darkroom last wrote there from this source",
    )
    source: Source = Field(
        default="keep",
        json_schema_extra={"$comment": "`keep`, `delete`, `move: {to: …}`"},
        description="what becomes of the source once its output is durable",
    )
    retries: Annotated[int, Field(ge=0, le=100)] = Field(
        default=3, description="how often a fault that may pass is tried again; a broken picture never is"
    )
    preview: Preview | None = Field(
        default=None,
        description="how often a running task shows its picture as `{stem of the output}.preview.jpg`; it goes away"
        " when the task ends",
    )
    trace: bool = Field(
        default=False,
        description="whether a task leaves beside its output how the losses fell: `NAME.trace.json`, and a plot,"
        " `NAME.trace.svg`",
    )
    on_failure: OnFailureKey = Field(
        default=None,
        description="a command or a webhook told of pictures that failed, see docs/notifications.md",
    )
    on_idle: OnIdleKey = Field(default=None, description="the same when the rule has worked off all that there was")

    @field_validator("preview", "trace")
    @classmethod
    def _is_for_tasks(cls, value: Any, info: ValidationInfo) -> Any:
        if value and "steps" in info.data and task_of(info.data["steps"]) is None:
            problem = "only a task runs long enough to be watched"
            raise InnerError(StepFault((), problem, f"remove {info.field_name}, or see `darkroom operators` for tasks"))
        return value

    @field_validator("inputs", mode="wrap")
    @classmethod
    def _inputs_fit_the_task(
        cls, raw: object, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> tuple[Input, ...]:
        inputs: tuple[Input, ...] = () if raw == () else read(raw)
        roles.check(inputs, info.data, given=raw != ())
        return inputs

    @field_validator("report")
    @classmethod
    def _report_has_numbers(cls, report: Path | None, info: ValidationInfo) -> Path | None:
        if report is not None and "steps" in info.data and not series_of(info.data["steps"]):
            remedy = f"add {' or '.join(_measurements())} to steps, or remove report"
            raise InnerError(StepFault((), "no step of the rule measures anything", remedy))
        return report

    @field_validator("output")
    @classmethod
    def _output_is_elsewhere(cls, output: Template | None, info: ValidationInfo) -> Template | None:
        if output is not None:
            roles.check_output(output, info.data)
            _keep_apart(output, info, "the rule would overwrite its own source")
        elif "report" in info.data and info.data["report"] is None:
            grouped = bool(info.data.get("inputs"))
            missing = f"add output: outbox/{'{key}.png' if grouped else '{dir}/{stem}.{ext}'}"
            measures = bool(series_of(info.data.get("steps", ())))
            remedy = f"{missing}, or report: outbox/{info.data.get('name', 'report')}" if measures else missing
            raise InnerError(StepFault((), "it is missing", remedy))
        return output

    @field_validator("source")
    @classmethod
    def _source_goes_elsewhere(cls, source: str | SourceShape, info: ValidationInfo) -> str | SourceShape:
        if isinstance(source, SourceShape):
            roles.check_move(source.move.to, info.data)
            _keep_apart(source.move.to, info, "the source would be moved to where it is", ("move", "to"))
            output = info.data.get("output")
            if isinstance(output, Template) and output.same_place(source.move.to):
                problem = "the source would be moved over the rule's own output"
                raise InnerError(StepFault(("move", "to"), problem, "name another folder"))
        return source

    def folders(self) -> tuple[Path, ...]:
        """The watched folders."""
        return tuple(self.watch) if isinstance(self.watch, list) else (self.watch,)

    def build(self) -> Rule:
        """The frozen value."""
        return Rule(
            name=self.name,
            watch=self.folders(),
            chain=self.steps,
            output=self.output or _receipts(self.report),
            recursive=self.recursive,
            match=tuple(self.match),
            when=self.when.build(),
            encode=self.encode.build(),
            on_conflict=OnConflict(self.on_conflict),
            source=policy(self.source),
            retries=self.retries,
            report=self.report,
            publishes=self.output is not None,
            preview=self.preview,
            trace=self.trace,
            inputs=self.inputs,
            on_failure=self.on_failure.build() if self.on_failure else None,
            on_idle=self.on_idle.build() if self.on_idle else None,
        )


class ConfigShape(Shape):
    """config.yaml: what darkroom does with which pictures."""

    version: Annotated[int, Field(ge=1, le=1)] = Field(examples=[1], description="the version of this format")
    state_dir: Folder = Field(
        default=DEFAULT_STATE_DIR,
        validate_default=True,
        description="darkroom's own folder: the ledger of all jobs, compiled graphs, open tasks",
    )
    runtime: RuntimeShape = Field(
        default_factory=RuntimeShape, description="the machine's share: device, memory, threads"
    )
    tasks: TasksShape = Field(default_factory=TasksShape, description="how tasks are run, see docs/tasks.md")
    log: LogShape = Field(default_factory=LogShape, description="what the journal is told, and how")
    metrics: MetricsShape | None = Field(
        default=None,
        json_schema_extra={"$comment": "`{port: 9464}`, `{socket: run/metrics.sock}`"},
        description="where Prometheus can ask how the work goes, see docs/metrics.md",
    )
    settle: Settle = Field(
        default="500ms",
        validate_default=True,
        description="a file is taken when it has been still this long; when exactly: docs/watching.md",
    )
    rescan: Rescan = Field(
        default="5m", validate_default=True, description="every watched folder is scanned in full this often"
    )
    rules: Annotated[list[RuleShape], Field(min_length=1)] = Field(
        examples=["[{name: mosaic, ...}]"],
        json_schema_extra={"$comment": "a list, at least one"},
        description="what is done with which pictures",
    )


def _keep_apart(template: Template, info: ValidationInfo, problem: str, where: tuple[str, ...] = ()) -> None:
    watch = info.data.get("watch", [])
    if any(template.writes_over(folder) for folder in (watch if isinstance(watch, list) else [watch])):
        raise InnerError(StepFault(where, problem, "name a folder other than the watched one"))


def _receipts(report: Path | None) -> Template:
    """Where a rule that publishes nothing leaves its error receipts: beside its report."""
    assert report is not None  # _output_is_elsewhere has seen to it
    return Template.parse("{dir}/{name}", report)


def _measurements() -> list[str]:
    return [name for name, operator in operators().items() if operator.measures]
