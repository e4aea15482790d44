"""`tasks:`, and `preview` and `trace` of a rule: every fault with its line and column."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import load_config
from kernels import spec
from kernels.spec import Task, operators, task
from tests.config.test_config_faults import faults

RULE = "name: a, watch: in, output: 'out/{stem}.png'"
KNOWN = "known: device, concurrency, memory, checkpoint, idle, hang"
GRAY = f"rules: [{{{RULE}, steps: [grayscale]}}]"


@pytest.fixture(autouse=True)
def doodle() -> Iterator[None]:
    """A task in the registry, for as long as a test."""
    operators()

    @task("doodle", Task(inputs=("picture",)))
    def _doodle() -> spec.Steps:
        raise AssertionError("nobody runs it")

    yield
    del spec._registry["doodle"]


TASKS_FAULTS = {
    "device: tensorrt": "19: tasks.device: 'tensorrt' is not known; known: auto, cpu, cuda",
    "concurrency: 0": "24: tasks.concurrency: 0 is out of range; give at least 1",
    "concurrency: 65": "24: tasks.concurrency: 65 is out of range; give at most 64",
    "memory: 5": "19: tasks.memory: 5 is not a size; write 512MiB or 1GiB",
    "checkpoint: 10ms": "23: tasks.checkpoint: '10ms' is out of range; 100ms to 24h is possible",
    "checkpoint: 5": "23: tasks.checkpoint: 5 is not a duration; write 500ms or 2s",
    "idle: -1s": "17: tasks.idle: '-1s' is not a duration; write 500ms or 2s",
    "hang: 500ms": "17: tasks.hang: '500ms' is out of range; 1s to 8760h is possible",
    "cheese: 1": f"11: tasks.cheese: 'cheese' is not a key here; {KNOWN}",
    "hangs: 1s": f"11: tasks.hangs: 'hangs' is not a key here; did you mean hang? {KNOWN}",
}


@pytest.mark.parametrize("entry", TASKS_FAULTS)
def test_values_of_tasks(tmp_path: Path, entry: str) -> None:
    assert faults(tmp_path, f"version: 1\n{GRAY}\ntasks:   {{{entry}}}") == [f"3:{TASKS_FAULTS[entry]}"]


RULE_FAULTS = {
    "steps: [grayscale],\n preview: 2s": "3:11: rules[0].preview: only a task runs long enough to be watched;"
    " remove preview, or see `darkroom operators` for tasks",
    "steps: [grayscale],\n trace: true": "3:9: rules[0].trace: only a task runs long enough to be watched;"
    " remove trace, or see `darkroom operators` for tasks",
    "steps: [doodle],\n preview: 10ms": "3:11: rules[0].preview: '10ms' is out of range; 100ms to 24h is possible",
    "steps: [doodle],\n trace: 1": "3:9: rules[0].trace: 1 is not true or false; write true or false, without quotes",
}


@pytest.mark.parametrize("entry", RULE_FAULTS)
def test_values_of_a_rule(tmp_path: Path, entry: str) -> None:
    assert faults(tmp_path, f"version: 1\nrules: [{{{RULE}, {entry}}}]") == [RULE_FAULTS[entry]]


@pytest.mark.parametrize("steps", ["doodle,\n grayscale", "grayscale,\n doodle", "doodle,\n doodle"])
def test_a_task_stands_alone(tmp_path: Path, steps: str) -> None:
    places = {0: "2:64: rules[0].steps[0].doodle", 1: "3:2: rules[0].steps[1].doodle"}
    tasks = [place for place, name in enumerate(steps.split(",")) if "doodle" in name]
    problem = "doodle is a task, and a task is the only step of its rule; give it a rule of its own"
    told = faults(tmp_path, f"version: 1\nrules: [{{{RULE}, steps: [{steps}]}}]")
    assert told == [f"{places[place]}: {problem}" for place in tasks]


def test_all_of_it_right(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    tasks = "{device: cpu, concurrency: 3, memory: 2GiB, checkpoint: 5s, idle: 0s, hang: 1h}"
    path.write_text(f"version: 1\ntasks: {tasks}\nrules: [{{{RULE}, steps: [doodle], preview: 2s, trace: true}}]")
    config = load_config(path)
    assert dataclasses.astuple(config.tasks) == ("cpu", 3, 2 << 30, 5.0, 0.0, 3600.0)
    (rule,) = config.rules
    assert rule.is_task and rule.preview == 2.0 and rule.trace
    path.write_text(f"version: 1\n{GRAY}")
    (rule,) = load_config(path).rules
    assert not rule.is_task and rule.preview is None and not rule.trace
