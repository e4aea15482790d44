"""`darkroom apply`: one shot, without daemon or ledger."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import yaml

from daemon.codec import Format, decode, encode, format_of, probe
from daemon.errors import ConfigError, DarkroomError, OutputRefused, final
from daemon.graphs import graph_for
from daemon.model import EncodeOptions, State
from daemon.options import RuntimeOptions
from daemon.publishing import findings
from daemon.publishing.outputs import write_whole
from daemon.report.reporter import load_picture
from daemon.report.values import Study, Unmeasured
from daemon.runtime import Runtime
from daemon.shown import say
from kernels.chain import Chain, ChainError, describe, parse_chain, task_of
from kernels.measuring import Finding, finding, makes_pictures, series_of, side_of


def apply(steps: str, inputs: Sequence[Path], roles: Sequence[str], output: str) -> int:
    """Process files; 0, or 1 if any failed. Raises ConfigError for steps that are none, and for inputs that do not fit.

    A task takes its inputs by role, `role=path`; one with a single role also takes files as the other steps do.
    Measurements are printed and written beside the outputs as NAME.json. Steps that only measure write no pictures
    into a folder, but a report over all of them; OUT may then be a file that ends in .json, too.
    """
    chain = parse_steps(steps)
    if task_of(chain) is not None:
        from daemon.tasks.once import apply_task

        return apply_task(chain, inputs, roles, output)
    if roles:
        raise ConfigError([f"--input {roles[0]}: {chain[0].name} is no task and has no roles; name the files alone"])
    if not inputs:
        raise ConfigError(["IN: no picture is named; name at least one file"])
    as_folder = is_folder(output, len(inputs), makes_pictures(chain))
    refuse_collisions(inputs, as_folder)
    graph = graph_for(chain, cache_directory() / "graphs")
    runtime = Runtime("cpu", len(os.sched_getaffinity(0)))
    measured, skipped, failed = dict[Path, Finding](), dict[Path, str](), dict[Path, str]()
    for path in inputs:
        target = Path(output) / path.name if as_folder else Path(output)
        try:
            found = _apply_one(runtime, graph, chain, path, target, picture=makes_pictures(chain) or not as_folder)
        except DarkroomError as error:
            failed[path] = final(error)
            say(f"{path}: {failed[path]}", error=True)
            continue
        if found is not None and found.unwanted:
            skipped[path] = found.unwanted
            say(f"{path}: skipped: {found.unwanted}")
        elif found is not None:
            measured[path] = found
    if as_folder and not makes_pictures(chain):
        _report(chain, Path(output), measured, skipped, failed)
    return 1 if failed else 0


Reasons: TypeAlias = Mapping[Path, str]


def _report(chain: Chain, folder: Path, measured: Mapping[Path, Finding], skipped: Reasons, failed: Reasons) -> None:
    """The report over all files, into `folder`."""
    from daemon.report.writer import ReportWriter  # the template engine: loaded when there is something to show

    series = series_of(chain)
    study = Study(
        rule="apply",
        steps=describe(chain),
        series=series,
        size=side_of(chain),
        pictures=[path.name for path in measured],
        sources=[str(path) for path in measured],
        mse=np.array([found.mse for found in measured.values()], np.float64).reshape(-1, len(series)),
        counts={State.DONE: len(measured), State.SKIPPED: len(skipped), State.FAILED: len(failed)},
        skipped=[Unmeasured(path.name, reason) for path, reason in skipped.items()],
        failed=[Unmeasured(path.name, reason) for path, reason in failed.items()],
        devices={"cpu": len(measured)},
        left_out=0,
        updated=time.time(),
    )
    ReportWriter().write(folder, study, load_picture)
    say(f"{folder}/report.html")


def is_folder(output: str, inputs: int, pictures: bool) -> bool:
    """Whether OUT is a folder for so many results. Raises ConfigError for a file of no known format, or one for many.

    `pictures`: whether the steps make any; if not, a .json file is possible.
    """
    suffix = Path(output).suffix
    named_as_file = Path(output).is_file() or (format_of(suffix) is not None and not output.endswith("/"))
    if inputs > 1 and named_as_file and not Path(output).is_dir():
        raise ConfigError([f"-o {output}: {inputs} pictures do not go into one file; name a folder, as in -o out/"])
    if inputs > 1 or output.endswith("/") or Path(output).is_dir() or not suffix:
        return True
    if format_of(suffix) is None and (pictures or suffix != findings.SUFFIX):
        known = ", ".join(kind.value for kind in Format) + ("" if pictures else ", json")
        raise ConfigError([f"-o {output}: {suffix} is no format darkroom writes; use one of {known}, or name a folder"])
    return False


def refuse_collisions(inputs: Sequence[Path], as_folder: bool) -> None:
    """Raises ConfigError if two inputs would have the same result."""
    names = Counter(path.name for path in inputs)
    if as_folder and (twice := [name for name, times in names.items() if times > 1]):
        raise ConfigError([f"IN: several inputs would become {twice[0]}; process them one folder at a time"])


def _apply_one(
    runtime: Runtime, graph: Path, chain: Chain, path: Path, target: Path, *, picture: bool
) -> Finding | None:
    """Process one file and say so. What was measured, if anything; an unwanted picture is not written.

    `picture`: whether to write one; what only was measured is written as it came.
    """
    if target.exists() and path.exists() and target.samefile(path):
        raise OutputRefused("the output would overwrite its own source; choose another -o")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DarkroomError(f"cannot be read ({error.strerror})") from error
    decoded = decode(data, probe(data, RuntimeOptions().max_pixels))
    ran = runtime.run(graph, [decoded.pixels])
    found = finding(chain, {name: rows[0].tolist() for name, rows in ran.measures.items()}) if ran.measures else None
    if found is not None and found.unwanted:
        return found
    if picture and target.suffix != findings.SUFFIX:
        kind = format_of(target.suffix) or decoded.metadata.format
        result = decoded.pixels if ran.pictures is None else ran.pictures[0]
        write_whole(
            os.path.abspath(target), os.getpid(), encode(result, decoded.alpha, decoded.metadata, kind, EncodeOptions())
        )
        say(f"{path} → {target}")
    if found is not None:
        beside = target if target.suffix == findings.SUFFIX else target.with_name(target.name + findings.SUFFIX)
        write_whole(os.path.abspath(beside), os.getpid(), findings.as_json(path.name, "apply", chain, found.mse))
        for line in findings.lines(chain, found.mse):
            say(f"{path}: {line}")
    return found


def parse_steps(text: str) -> Chain:
    """STEPS of the command line, as YAML. Raises ConfigError with every fault."""
    try:
        return parse_chain(yaml.safe_load(text))
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        remedy = "write 'mosaic: {block: 8}' or '[grayscale, mosaic]'"
        raise ConfigError([f"STEPS: not YAML ({problem}); {remedy}"]) from error
    except ChainError as error:
        raise ConfigError([f"STEPS: {fault}" for fault in error.faults]) from error


def cache_directory() -> Path:
    """Where graphs are kept between one-shot runs: `$XDG_CACHE_HOME/darkroom`. Raises DarkroomError."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if caches.startswith("~"):
        raise DarkroomError("this user has no home folder to keep compiled graphs in; set HOME or XDG_CACHE_HOME")
    return Path(caches) / "darkroom"
