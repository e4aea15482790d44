"""Boxes that know the toys: their PYTHONPATH is a copy of the packages with `toys.py` in `kernels/`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.box import ENVIRONMENT, REPOSITORY, Pixels
from tests.tasks.taskbox import TaskBox

PACKAGES = ("kernels", "export", "daemon")
BUILD = """
import sys
from pathlib import Path
from export.store import GraphStore
from kernels.chain import parse_chain
GraphStore(Path(sys.argv[1])).ensure(parse_chain([{"mosaic": {"block": 16}}]))
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the toys are steps like any other."""
    folder = tmp_path_factory.mktemp("packages")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).parent / "toys.py", folder / "kernels" / "toys.py")
    return ENVIRONMENT | {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="session")
def mosaic_graph(shared: Path, packages: dict[str, str]) -> Path:
    """A store with the graph of `mosaic: {block: 16}` for that copy, built once."""
    store = shared / "task-graphs"
    subprocess.run([sys.executable, "-P", "-c", BUILD, str(store)], env=packages, check=True, timeout=120)
    return store


@pytest.fixture
def taskbox(tmp_path: Path, packages: dict[str, str]) -> Iterator[TaskBox]:
    """A box without graphs: its rules are tasks."""
    (tmp_path / "none").mkdir()
    made = TaskBox(tmp_path, tmp_path / "none", packages)
    yield made
    made.close()


@pytest.fixture(scope="session")
def tiny(photograph: Pixels) -> Pixels:
    """A real photograph, tiny: 32×48, RGB. A step of a toy takes a millisecond."""
    return np.ascontiguousarray(cv2.resize(photograph, (48, 32), interpolation=cv2.INTER_AREA), np.uint8)
