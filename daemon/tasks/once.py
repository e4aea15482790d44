"""`darkroom apply` with a task: the same worker, a progress bar, no daemon, no ledger, no checkpoint that stays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from daemon.codec import Decoded, encode, format_of, refuse_unfit
from daemon.errors import ConfigError, DarkroomError, OutputRefused, final
from daemon.journal.display import Bar, make_bar
from daemon.model import Conditions, EncodeOptions
from daemon.oneshot import is_folder, refuse_collisions
from daemon.options import RuntimeOptions, TaskOptions
from daemon.publishing.outputs import write_whole
from daemon.tasks import results
from daemon.tasks.attempt import Attempt, OutOfMemory
from daemon.tasks.folder import TaskFolder
from daemon.tasks.inputs import Inputs, decoded
from daemon.tasks.messages import Finished, Report, Run, Stepped
from daemon.tasks.process import WorkerProcess
from daemon.tasks.view import TaskView
from kernels.chain import Chain, Step, task_of
from kernels.parameters import suggest
from kernels.spec import Task

NEVER = 365 * 86400.0


def apply_task(chain: Chain, files: Sequence[Path], roles: Sequence[str], output: str) -> int:
    """Run a task on what is given by role, or a task with one role on each of `files`; 0, or 1 if any failed.

    Raises ConfigError for inputs that do not fit the task.
    """
    task = task_of(chain)
    assert task is not None
    sets = _sets(chain[0], task, files, roles)
    as_folder = is_folder(output, len(sets), True)
    refuse_collisions([named[task.inputs[0]] for named in sets], as_folder)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="darkroom-") as place, make_bar() as bar:
        worker = _Worker(Path(place))
        try:
            for number, named in enumerate(sets):
                first = named[task.inputs[0]]
                target = Path(output) / first.name if as_folder else Path(output)
                try:
                    _apply_one(chain, task, named, target, TaskFolder(Path(place) / str(number)), worker, bar)
                except DarkroomError as error:
                    failed += 1
                    bar.complain(f"{', '.join(map(str, named.values()))}: {final(error)}")
        finally:
            worker.end()
    return 1 if failed else 0


def _sets(step: Step, task: Task, files: Sequence[Path], roles: Sequence[str]) -> list[dict[str, Path]]:
    """The inputs of each run, by role. Raises ConfigError."""
    name, possible, named = step.name, task.roles(dict(step.parameters)), dict[str, Path]()
    for text in roles:
        role, equals, path = text.partition("=")
        if not equals or not path:
            raise ConfigError([f"--input {text}: it is not role=path; write --input {task.inputs[0]}=FILE"])
        if role in task.optional and role not in possible:
            goes = "{}: {}".format(*task.optional[role])
            raise ConfigError([f"--input {text}: {role} goes with {goes}; write that, or leave it out"])
        if role not in possible:
            raise ConfigError([f"--input {text}: {name} has no role {role!r}; {suggest(role, possible)}"])
        if role in named:
            raise ConfigError([f"--input {text}: {role} is given twice; remove one"])
        named[role] = Path(path)
    first, *others = task.inputs
    if files and not others and first not in named:  # what is given by role is the same for all of them
        return [{first: path, **named} for path in files]
    if files:
        wanted = " ".join(f"--input {role}=FILE" for role in task.inputs)
        raise ConfigError([f"{files[0]}: {name} does not know what this is for; write {wanted}"])
    if missing := [role for role in task.inputs if role not in named]:
        raise ConfigError([f"--input: {name} needs {' and '.join(missing)}; add --input {missing[0]}=FILE"])
    return [{role: named[role] for role in possible if role in named}]


class _Worker:
    """A worker that is started when it is needed, and again after one that died."""

    def __init__(self, place: Path) -> None:
        self._log = place / "worker.log"
        self._process: WorkerProcess | None = None

    def get(self) -> WorkerProcess:
        if self._process is None or not self._process.alive:
            self._process = WorkerProcess(TaskOptions(), len(os.sched_getaffinity(0)), self._log)
        return self._process

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()


def _apply_one(
    chain: Chain, task: Task, named: Mapping[str, Path], target: Path, folder: TaskFolder, worker: _Worker, bar: Bar
) -> None:
    """Run the task once, say so, and what is worth knowing of the result."""
    (step,) = chain
    inputs = Inputs(step, folder, RuntimeOptions().max_pixels)
    beside = [Path(f"{target}{suffix}") for suffix in results.wanted_beside(chain, task)]
    _refuse_overwriting([target, *beside], named.values())
    for role, path in named.items():
        inputs.put(role, _read(path))
    roles, like = inputs.roles(), inputs.like
    kind = format_of(target.suffix) or like.metadata.format
    refuse_unfit(kind, inputs.width, inputs.height, like.alpha)
    finished, savings = _run(step, task, roles, folder, worker, bar, target.name)
    data = encode(folder.read("result"), like.alpha, like.metadata, kind, EncodeOptions())
    for suffix, content in {"": data, **results.beside(folder, finished)}.items():
        write_whole(os.path.abspath(f"{target}{suffix}"), os.getpid(), content)
    folder.close(keep_checkpoint=False)
    bar.line(f"{', '.join(map(str, named.values()))} → {target}: {results.in_words(finished, savings)}")


def _refuse_overwriting(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    there = [path for path in outputs if path.exists()]
    if any(output.samefile(source) for source in sources if source.exists() for output in there):
        raise OutputRefused("the output would overwrite its own source; choose another -o")


def _read(path: Path) -> Decoded:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DarkroomError(f"{path.name} cannot be read ({error.strerror})") from error
    try:
        return decoded(data, RuntimeOptions().max_pixels, Conditions())
    except DarkroomError as error:
        raise type(error)(f"{path.name}: {error}" if str(path) not in str(error) else str(error)) from error


def _run(
    step: Step, task: Task, roles: tuple[str, ...], folder: TaskFolder, worker: _Worker, bar: Bar, name: str
) -> tuple[Finished, tuple[str, ...]]:
    """The task to its end, and what was done to need less memory."""
    view = TaskView(0, step.name, name, 0.0)
    for thrift in range(len(task.savings) + 1):
        order = Run(str(folder.path), step.name, dict(step.parameters), roles, "", thrift, NEVER, None)

        def told(report: Report) -> None:
            if isinstance(report, Stepped):
                step, steps = report.step, report.steps
                bar.show(TaskView(0, view.rule, name, 0.0, "", step, steps, report.losses, report.left))

        bar.show(view)
        try:
            attempt = Attempt(worker.get(), order, hang=NEVER, wanted=lambda: None, told=told)
            return attempt.run(), task.savings[:thrift]
        except OutOfMemory as error:
            if thrift == len(task.savings):
                raise
            bar.complain(f"{name}: {error}; tried again with {task.savings[thrift]}")
    raise AssertionError("the last try returns or raises")
