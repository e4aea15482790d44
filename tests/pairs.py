"""A task of two pictures, for tests of everything that comes before a task runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

from daemon.groups.patterns import Pattern
from daemon.model import Input
from kernels import spec
from tests.box import REPOSITORY, Box

PAIR = '''\
"""A task of two pictures."""

from kernels.spec import Progress, State, Steps, Task, task


@task("pair", Task(("near", "far")))
def pair(inputs: dict, state: State) -> Steps:
    """Two pictures."""
    yield Progress(1, 1, {}, lambda: inputs["near"])
    raise NotImplementedError
'''
CONFIG = """\
version: 1
settle: 100ms
rules:
  - name: pairs
    watch: in
    steps: pair
    inputs: {near: "{key}.near.*", far: "{key}.far.*"}
    output: out/{key}.png
"""
NEAR, FAR = Input("near", Pattern.parse("{key}.near.*")), Input("far", Pattern.parse("{key}.far.*"))


def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `pair`, and `alone` of one picture, tasks of this process, for one test."""

    def never(*_: Any, **__: Any) -> Iterator[Any]:
        raise NotImplementedError

    spec.operators()
    for name, roles in {"pair": ("near", "far"), "alone": ("picture",)}.items():
        operator = spec.Operator(name, MappingProxyType({}), never, name, task=spec.Task(roles))
        monkeypatch.setitem(spec._registry, name, operator)


def furnish(box: Box) -> None:
    """Give a box the task, in a copy of the kernels that its commands find first, and a rule that has it."""
    shutil.copytree(REPOSITORY / "kernels", box.folder / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (box.folder / "kernels/pair.py").write_text(PAIR)
    box.environment["PYTHONDONTWRITEBYTECODE"] = "1"  # what commands leave behind is looked at
    box.write_config(CONFIG)
