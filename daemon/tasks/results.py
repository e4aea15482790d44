"""What comes back from a worker, as a result like any other: pixels, files beside the output, a record, words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from daemon.codec import Format, Metadata, encode, format_of, refuse_unfit
from daemon.model import EncodeOptions
from daemon.pipeline.stages import target_of
from daemon.pipeline.work import Work
from daemon.publishing.placement import refuse_long
from daemon.tasks import trace
from daemon.tasks.folder import TaskFolder
from daemon.tasks.messages import Finished
from kernels.chain import Chain, describe
from kernels.spec import Task

KEPT = 50
"""Steps of the loss history that the ledger keeps; NAME.trace.json has them all."""


def take(work: Work, finished: Finished, folder: TaskFolder, device: str, savings: Sequence[str]) -> None:
    """Fill `work` in, so that it can be encoded and published. `savings` are what was done to need less memory."""
    work.result = folder.read("result")
    work.device = device
    record = {name: trace.finite(value) for name, value in finished.record.items()}
    record |= {"steps": finished.steps, "seconds": round(finished.seconds, 2)}
    if savings:
        record["savings"] = "; ".join(savings)
    work.record = json.dumps({"record": record, "losses": thinned(finished.history)})
    work.told = tuple(_told(finished, savings))
    work.beside = beside(folder, finished)
    if work.rule.trace:
        title, steps = f"{work.job.relative}: {describe(work.rule.chain)}", describe(work.rule.chain)
        work.beside |= {
            trace.JSON: trace.as_json(work.job.relative, steps, record, finished.history),
            trace.SVG: trace.as_svg(title, finished.history),
        }


def in_words(finished: Finished, savings: Sequence[str]) -> str:
    """What is worth knowing of a result, on a line: `34 steps in 0.8 s, near_correlation 0.93`."""
    record = finished.record.items()
    return ", ".join(
        [*_told(finished, savings), *(f"{n} {value:.4g}" for n, value in record if isinstance(value, float))]
    )


def _told(finished: Finished, savings: Sequence[str]) -> Iterator[str]:
    yield f"{finished.steps:,} steps in {finished.seconds:.1f} s"
    yield from (f"with {saving}" for saving in savings)
    yield from finished.told


def beside(folder: TaskFolder, finished: Finished) -> dict[str, bytes]:
    """The pictures beside a result as JPEG files, by the suffix of their names."""
    return {_suffix(name): _jpeg(folder, f"beside-{name}") for name in finished.beside}


def _suffix(name: str) -> str:
    return f".{name}.jpg"


def _jpeg(folder: TaskFolder, name: str) -> bytes:
    return encode(folder.read(name), None, Metadata(Format.JPEG), Format.JPEG, EncodeOptions())


def thinned(history: trace.History) -> list[dict[str, Any]]:
    """At most KEPT steps of a history, evenly spread, the first and the last among them."""
    last = len(history) - 1
    places = range(last + 1) if last < KEPT else [round(number * last / (KEPT - 1)) for number in range(KEPT)]
    return [trace.row(*history[place]) for place in places]


def refuse_output(work: Work, task: Task, width: int, height: int) -> None:
    """Raise OutputRefused for a result of this size that no file can be called, or can hold, before hours are spent."""
    assert work.decoded is not None
    target = target_of(work, width, height)
    kind = format_of(os.path.splitext(target)[1]) or work.decoded.metadata.format
    refuse_unfit(kind, width, height, work.decoded.alpha)
    for suffix in (*wanted_beside(work.rule.chain, task), *((trace.JSON, trace.SVG) if work.rule.trace else ())):
        refuse_long(target + suffix)


def wanted_beside(chain: Chain, task: Task) -> list[str]:
    """The suffixes of the pictures that a result of this task will have besides its own."""
    (step,) = chain
    return [_suffix(name) for name in task.beside if dict(step.parameters).get(name, True)]


def suffixes_of(task: Task | None) -> tuple[str, ...]:
    """What may lie beside an output of such a rule, and is out of date when a new result does not have it.

    Traces of the task that a rule had before its steps were changed are among them.
    """
    return (trace.JSON, trace.SVG, *map(_suffix, task.beside if task else ()))
