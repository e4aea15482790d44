"""Photographs and boxes for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from skimage import data

from export.store import GraphStore
from kernels.chain import parse_chain
from tests.box import COMPARED, MOSAIC, STUDY, Box, Pixels

# Before anything loads PyTorch. Threads that wait for each other sleep: two processes of tests on two cores that spin
# instead take a quarter longer (2:07 against 1:43 for the exporter's and the hybrid's tests).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def photograph() -> Pixels:
    """A real photograph: 512×512, RGB."""
    return np.asarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="session")
def small(photograph: Pixels) -> Pixels:
    """A real photograph, small: 96×128, RGB."""
    return np.ascontiguousarray(cv2.resize(photograph, (128, 96), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the graphs that most tests use, built once; pytest's processes share it."""
    folder = tmp_path_factory.getbasetemp()
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # in each of its processes; absent where there is only one
    store = GraphStore(folder.parent / f"graphs-{run}" if run else folder / "graphs")
    chains = [parse_chain(yaml.safe_load(steps)) for steps in (MOSAIC, COMPARED, STUDY)]
    with ThreadPoolExecutor(len(chains)) as pool:
        list(pool.map(store.ensure, chains))
    return store.directory


@pytest.fixture
def box(tmp_path: Path, graphs: Path) -> Iterator[Box]:
    made = Box(tmp_path, graphs)
    yield made
    made.close()
