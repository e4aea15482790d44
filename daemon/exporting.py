"""`darkroom export`: the ONNX files of the rules, and how near ONNX Runtime and PyTorch are to each other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from daemon.errors import DarkroomError, writing_failed
from daemon.graphs import graph_for
from daemon.model import Config
from daemon.shown import say
from export.store import child_environment
from kernels.chain import Chain, canonical, describe
from kernels.measuring import makes_pictures, series_of


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
        if rule.is_task:
            say(f"{rule.name}: {rule.chain[0].name} is a task, which PyTorch runs itself; there is no graph of it")
            continue
        graph = folder / f"{rule.name}.onnx"
        shutil.copyfile(graph_for(rule.chain, config.state_dir / "graphs"), graph)
        report = _parity(rule.chain, graph)
        reports.append({"rule": rule.name, "steps": describe(rule.chain), "graph": graph.name, **report})
        verdict = "passed" if report["passed"] else "FAILED"
        say(f"{graph}  {describe(rule.chain)}")
        say(f"    parity {verdict}: {_distance(rule.chain, report)}")
    (folder / "parity.json").write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    say(f"{folder / 'parity.json'}")
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
