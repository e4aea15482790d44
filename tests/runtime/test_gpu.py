"""Real cards, where there are any: every operator, device by device, against the processor. Else skipped, with why."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import DarkroomError
from daemon.runtime import Runtime
from export.golden import Golden, difference, pattern
from export.store import GraphStore
from kernels.chain import parse_chain

pytestmark = pytest.mark.gpu
CHAINS = {
    "mosaic": [{"mosaic": {"block": 16}}],
    "blur": [{"gaussian_blur": {"sigma": 3}}],
    "pooling": [{"pool_upsample": {"scale": 8}}],
    "poster": ["grayscale", {"gaussian_blur": {"sigma": 3}}, {"mosaic": {"block": 8}}],
    "thumbnails": [{"resize": {"width": 256}}],
}


def runtime_on(device: str, cache: Path | None = None) -> Runtime:
    try:
        return Runtime(device, 1, cache=cache)
    except DarkroomError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GraphStore:
    return GraphStore(tmp_path_factory.mktemp("graphs"))


def same(runtime: Runtime, graph: Path, shape: tuple[int, int, int]) -> str:
    """Run a batch there and on the processor; the device, once both agree."""
    pictures = list(pattern(shape))
    ran, expected = runtime.run(graph, pictures), Runtime("cpu", 1).run(graph, pictures)
    assert ran.pictures is not None and expected.pictures is not None
    golden = Golden(np.stack(pictures), {"output": np.stack(expected.pictures)})
    assert difference({"output": np.stack(ran.pictures)}, golden) == ""
    return ran.device


@pytest.mark.parametrize("name", list(CHAINS))
@pytest.mark.parametrize("device", ["cuda", "tensorrt-rtx"])
def test_every_operator_on_a_card(device: str, name: str, store: GraphStore) -> None:
    runtime = runtime_on(device)
    graph = store.ensure(parse_chain(CHAINS[name]))
    for shape in ((1, 1, 1), (5, 61, 47), (2, 480, 641), (1, 1080, 1920), (5, 61, 47)):
        assert same(runtime, graph, shape) == device


def test_a_batch_beyond_the_memory_is_halved(store: GraphStore) -> None:
    runtime = runtime_on("cuda")
    graph = store.ensure(parse_chain(CHAINS["blur"]))
    picture = pattern((1, 2000, 3000))[0]
    assert len(runtime.run(graph, [picture] * 64).pictures or ()) == 64


@pytest.mark.parametrize("name", ["blur", "pooling", "thumbnails"])
def test_tensorrt_takes_over(name: str, store: GraphStore, tmp_path: Path) -> None:
    runtime = runtime_on("tensorrt", tmp_path)
    graph = store.ensure(parse_chain(CHAINS[name]))
    deadline = time.monotonic() + 240
    while same(runtime, graph, (8, 256, 320)) != "tensorrt" and time.monotonic() < deadline:
        time.sleep(1)
    assert same(runtime, graph, (3, 256, 320)) == "tensorrt"
    assert runtime.close(60)
