"""`darkroom apply` and `darkroom export`: one shot, without daemon or ledger."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from daemon.codec import Format, decode, encode, format_of, probe
from daemon.errors import BlockedError, ConfigError, DarkroomError, OutputRefused, writing_failed
from daemon.graphs import graph_for
from daemon.model import Config, EncodeOptions, RuntimeOptions
from daemon.outputs import sync_file, write_temporary
from daemon.runtime import Runtime
from export.store import child_environment
from kernels.chain import Chain, ChainError, canonical, describe, parse_chain
from kernels.measuring import makes_pictures, series_of


def apply(steps: str, inputs: Sequence[Path], output: str) -> int:
    """Process files; 0, or 1 if any failed. Raises ConfigError for steps that are none."""
    chain = parse_steps(steps)
    as_folder = _is_folder(output, len(inputs))
    _refuse_collisions(inputs, as_folder)
    graph = graph_for(chain, cache_directory() / "graphs")
    runtime = Runtime("cpu", len(os.sched_getaffinity(0)))
    failed = 0
    for path in inputs:
        target = Path(output) / path.name if as_folder else Path(output)
        try:
            _apply_one(runtime, graph, path, target)
            print(f"{path} → {target}")
        except DarkroomError as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _is_folder(output: str, inputs: int) -> bool:
    suffix = Path(output).suffix
    if inputs > 1 or output.endswith("/") or Path(output).is_dir() or not suffix:
        return True
    if format_of(suffix) is None:
        known = ", ".join(kind.value for kind in Format)
        raise ConfigError([f"-o {output}: {suffix} is no format darkroom writes; use one of {known}, or name a folder"])
    return False


def _refuse_collisions(inputs: Sequence[Path], as_folder: bool) -> None:
    names = Counter(path.name for path in inputs)
    if as_folder and (twice := [name for name, times in names.items() if times > 1]):
        raise ConfigError([f"IN: several inputs would become {twice[0]}; process them one folder at a time"])


def _apply_one(runtime: Runtime, graph: Path, path: Path, target: Path) -> None:
    if target.exists() and path.exists() and target.samefile(path):
        raise OutputRefused("the output would overwrite its own source; choose another -o")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DarkroomError(f"cannot be read ({error.strerror})") from error
    decoded = decode(data, probe(data, RuntimeOptions().max_pixels))
    (result,) = runtime.run(graph, [decoded.pixels]).pictures or ()
    kind = format_of(target.suffix) or decoded.metadata.format
    _write(target, encode(result, decoded.alpha, decoded.metadata, kind, EncodeOptions()))


def _write(target: Path, data: bytes) -> None:
    temporary, _ = write_temporary(os.path.abspath(target), os.getpid(), data)
    try:
        sync_file(temporary)
        Path(temporary).replace(target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise BlockedError(f"{target}: cannot be written ({error.strerror})") from error


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
    """Where graphs are kept between one-shot runs: `$XDG_CACHE_HOME/darkroom`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darkroom"


def export(config: Config, folder: Path) -> int:
    """Write every rule's graph and a parity report into `folder`; 1 if parity fails."""
    try:
        return _export(config, folder)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise writing_failed(str(error.filename or folder), error) from error


def _export(config: Config, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    reports = list[dict[str, object]]()
    for rule in config.rules:
        graph = folder / f"{rule.name}.onnx"
        shutil.copyfile(graph_for(rule.chain, config.state_dir / "graphs"), graph)
        report = _parity(rule.chain, graph)
        reports.append({"rule": rule.name, "steps": describe(rule.chain), "graph": graph.name, **report})
        verdict = "passed" if report["passed"] else "FAILED"
        print(f"{graph}  {describe(rule.chain)}")
        print(f"    parity {verdict}: {_distance(rule.chain, report)}")
    (folder / "parity.json").write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    print(f"{folder / 'parity.json'}")
    return 0 if all(report["passed"] for report in reports) else 1


def _distance(chain: Chain, report: dict[str, object]) -> str:
    """How far ONNX Runtime and PyTorch are apart, in words."""
    parts = [f"at most {report['worst']}/255 apart, {report['exact']:.4%} exact"] if makes_pictures(chain) else []
    if series_of(chain):
        parts.append(f"measurements within {report['apart']:.1e} of each other")
    return "; ".join(parts)


def _parity(chain: Chain, graph: Path) -> dict[str, object]:
    """ONNX Runtime against PyTorch, in a child process: this one never imports torch (law 1)."""
    command = [sys.executable, "-m", "export.parity", str(graph)]
    environment = child_environment()
    child = subprocess.run(
        command, input=canonical(chain), capture_output=True, text=True, env=environment, timeout=900, check=False
    )
    if child.returncode not in (0, 1):
        raise DarkroomError(f"{graph}: parity could not be measured: {child.stderr.strip().splitlines()[-1:]}")
    report: dict[str, object] = json.loads(child.stdout)
    return report
