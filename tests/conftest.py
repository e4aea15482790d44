"""Photographs and boxes for every test."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from skimage import data

from export.store import GraphStore
from kernels.chain import canonical, parse_chain
from tests.box import COMPARED, MOSAIC, PSNR, STUDY, Box, Pixels

# Before anything loads PyTorch. Threads that wait for each other sleep: two processes of tests on two cores that spin
# instead take a quarter longer (2:07 against 1:43 for the exporter's and the hybrid's tests).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")


@pytest.fixture(scope="session")
def photograph() -> Pixels:
    """A real photograph: 512×512, RGB."""
    return np.asarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="session")
def small(photograph: Pixels) -> Pixels:
    """A real photograph, small: 96×128, RGB."""
    return np.ascontiguousarray(cv2.resize(photograph, (128, 96), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pytest's processes share: what takes long to make is made in it, under a lock, by one of them."""
    folder = tmp_path_factory.getbasetemp()
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # in each of its processes; absent where there is only one
    folder = folder.parent / f"shared-{run}" if run else folder / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def graphs(shared: Path) -> Path:
    """A store with the graphs that most tests use, built once. A box copies it: nobody adds to it later."""
    store = GraphStore(shared / "graphs")
    chains = [parse_chain(yaml.safe_load(steps)) for steps in (MOSAIC, COMPARED, STUDY, PSNR)]
    with ThreadPoolExecutor(len(chains)) as pool:
        list(pool.map(store.ensure, chains))
    return store.directory


@pytest.fixture(scope="session")
def exported(shared: Path) -> Callable[[object], Path]:
    """The graph of a chain, given as `steps:` is, by this process's exporter; each is exported once.

    Not from a store: that starts a process, which loads torch and compares the graph with it.
    """
    (folder := shared / "exported").mkdir(exist_ok=True)

    def export(steps: object) -> Path:
        from export.graph import export_onnx  # most tests need no torch

        chain = parse_chain(steps)
        path = folder / f"{hashlib.sha256(canonical(chain).encode()).hexdigest()}.onnx"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():  # it is written as a whole, at the end
                export_onnx(chain, path)
        return path

    return export


@pytest.fixture
def box(tmp_path: Path, graphs: Path) -> Iterator[Box]:
    made = Box(tmp_path, graphs)
    yield made
    made.close()
