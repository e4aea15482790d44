"""Graphs on a device: proven when opened, halved when memory is short, and what becomes of a card that fails."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import BlockedError, DarkroomError, PermanentError, TransientError
from daemon.runtime import CPU_BATCH_PIXELS, Pixels, Runtime
from daemon.runtime.devices import Device
from daemon.runtime.engine import Source
from daemon.runtime.graph import golden_of
from daemon.runtime.providers import Plan
from export.golden import Golden, pack, pattern
from tests.runtime.fakes import FakeEngine, FakeSession


def pictures(count: int, height: int = 48, width: int = 64) -> list[Pixels]:
    return list(pattern((count, height, width)))


def lines_of(device: str, engine: FakeEngine) -> tuple[Runtime, list[str]]:
    lines = list[str]()
    return Runtime(device, 2, tell=lines.append, engine=engine), lines


@pytest.fixture
def spoilt(mosaic: Path, tmp_path: Path) -> Path:
    """A graph whose golden picture is another than the one it computes."""
    graph = Path(shutil.copy(mosaic, tmp_path / "graph.onnx"))
    golden = golden_of(mosaic)
    assert golden is not None
    card = {"golden": pack(Golden(golden.batch, {"output": golden.outputs["output"] // 2}))}
    graph.with_suffix(".json").write_text(json.dumps(card))
    return graph


# -- proof of a rule's graph -------------------------------------------------------------------------------------------


def test_the_record_says_where_it_ran(mosaic: Path) -> None:
    engine = FakeEngine()
    on_card, on_cpu = Runtime("cuda", 1, engine=engine), Runtime("cpu", 1)
    assert on_card.load(mosaic) == "" and on_card.device_of(mosaic) == "cuda"
    ran, expected = on_card.run(mosaic, pictures(3)), on_cpu.run(mosaic, pictures(3))
    assert (ran.device, expected.device) == ("cuda", "cpu")
    assert ran.pictures is not None and expected.pictures is not None
    assert all(np.array_equal(one, other) for one, other in zip(ran.pictures, expected.pictures, strict=True))


def test_the_processor_is_held_against_pytorch_too(spoilt: Path) -> None:
    with pytest.raises(DarkroomError, match=r"cannot be used on cpu: cpu computes something else: output is up to"):
        Runtime("auto", 1).load(spoilt)


def test_a_graph_without_a_golden_picture_is_run(mosaic: Path, tmp_path: Path) -> None:
    graph = Path(shutil.copy(mosaic, tmp_path / "graph.onnx"))
    runtime = Runtime("cpu", 1)
    assert runtime.load(graph) == "" and golden_of(graph) is None and runtime.compared_with(graph) == ""


@pytest.mark.parametrize("card", ["", "{}", '{"golden": null}', '{"golden": {"none": "too large"}}'])
def test_without_a_golden_picture_a_card_is_held_against_the_processor(mosaic: Path, tmp_path: Path, card: str) -> None:
    graph = Path(shutil.copy(mosaic, tmp_path / "graph.onnx"))
    graph.with_suffix(".json").write_text(card)
    sound, _ = lines_of("cuda", FakeEngine())
    assert sound.load(graph) == "" and sound.compared_with(graph) == "the cpu"
    with pytest.raises(DarkroomError, match="cuda computes something else: output is up to"):
        lines_of("cuda", FakeEngine(wrong={Device.CUDA}, only=graph))[0].load(graph)
    full, _ = lines_of("cuda", FakeEngine(room=1, only=graph))
    assert full.load(graph) == "" and full.compared_with(graph) == "", "no memory is no other picture"


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(DarkroomError, match=r"graph.onnx: cannot be used on cpu: .*Protobuf"):
        Runtime("cpu", 1).load(tmp_path / "graph.onnx")


@pytest.mark.parametrize("fault", ["silent", "strays", "wrong"])
def test_with_auto_a_graph_the_card_gets_wrong_runs_on_the_processor(mosaic: Path, pooling: Path, fault: str) -> None:
    engine = FakeEngine(only=mosaic, **{fault: {Device.CUDA}})  # type: ignore[arg-type]
    runtime, _ = lines_of("auto", engine)
    assert runtime.load(mosaic).startswith("runs on the cpu, not on cuda: ") and runtime.load(pooling) == ""
    assert runtime.run(mosaic, pictures(1)).device == "cpu" and runtime.run(pooling, pictures(1)).device == "cuda"
    assert (runtime.device_of(mosaic), runtime.device_of(pooling)) == ("cpu", "cuda")


@pytest.mark.parametrize("fault", ["silent", "strays", "wrong"])
def test_on_a_named_device_it_is_an_error(mosaic: Path, fault: str) -> None:
    runtime, _ = lines_of("cuda", FakeEngine(only=mosaic, **{fault: {Device.CUDA}}))  # type: ignore[arg-type]
    with pytest.raises(DarkroomError, match=r"cannot be used on cuda: .*; write `device: auto`"):
        runtime.load(mosaic)


def test_a_graph_that_is_being_opened_delays_no_other(mosaic: Path, pooling: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def open(self, graph: Source, plan: Plan) -> FakeSession:
            if graph == mosaic:
                entered.set()
                release.wait(10)
            return super().open(graph, plan)

    runtime = Runtime("cpu", 2, engine=Slow())
    runtime.load(pooling)
    loading = [threading.Thread(target=runtime.load, args=(mosaic,)) for _ in range(2)]
    for thread in loading:
        thread.start()
    assert entered.wait(5)
    beside = threading.Thread(target=runtime.run, args=(pooling, pictures(1)))
    beside.start()
    beside.join(5)
    waited = beside.is_alive()
    release.set()
    for thread in [*loading, beside]:
        thread.join(10)
    assert not waited and runtime.device_of(mosaic) == "cpu"


# -- memory ------------------------------------------------------------------------------------------------------------


def test_a_batch_too_large_for_the_card_is_halved(pooling: Path) -> None:
    engine = FakeEngine(room=3 * 48 * 64)
    runtime, _ = lines_of("cuda", engine)
    batch = pictures(10)
    ran, expected = runtime.run(pooling, batch), Runtime("cpu", 1).run(pooling, batch)
    assert ran.device == "cuda" and ran.pictures is not None and expected.pictures is not None
    assert all(np.array_equal(one, other) for one, other in zip(ran.pictures, expected.pictures, strict=True))
    parts = [count for _, count in engine.ran[2:]]  # after the probe's and the graph's golden picture
    assert sum(parts) == 10 and max(parts) <= 3


def test_what_was_learned_about_memory_is_used_and_grows_again(pooling: Path) -> None:
    engine = FakeEngine(room=3 * 48 * 64)
    runtime, _ = lines_of("cuda", engine)
    runtime.run(pooling, pictures(8))
    engine.room, engine.ran[:] = 1 << 60, []
    runtime.run(pooling, pictures(8))
    assert max(count for _, count in engine.ran) == 2, "no second attempt at what did not fit"
    for _ in range(60):
        runtime.run(pooling, pictures(8))
    assert engine.ran[-1] == (Device.CUDA, 8), "others may have given their memory back"


def test_measurements_of_halves_are_joined(measuring: Path) -> None:
    runtime, _ = lines_of("cuda", FakeEngine(room=3 * 48 * 64))
    batch = pictures(7)
    ran, expected = runtime.run(measuring, batch), Runtime("cpu", 1).run(measuring, batch)
    assert ran.pictures is None is expected.pictures and list(ran.measures) == list(expected.measures)
    for name, numbers in expected.measures.items():
        assert numbers.shape[0] == 7 and np.array_equal(ran.measures[name], numbers)


def test_one_picture_too_large_for_the_card(pooling: Path) -> None:
    engine = FakeEngine(room=2 * 24 * 40)
    runtime, _ = lines_of("auto", engine)
    assert runtime.run(pooling, pictures(1)).device == "cpu", "with auto the processor takes it"
    named, _ = lines_of("cuda", engine)
    with pytest.raises(TransientError, match=r"cuda: the card has no memory for it .*nvidia-smi"):
        named.run(pooling, pictures(1))


# -- faults of the card ------------------------------------------------------------------------------------------------


def test_a_card_that_dies_is_given_up_with_auto(pooling: Path, mosaic: Path) -> None:
    engine = FakeEngine()
    runtime, lines = lines_of("auto", engine)
    assert runtime.run(pooling, pictures(1)).device == "cuda"
    engine.dead = True
    assert runtime.run(pooling, pictures(2)).device == "cpu"
    assert runtime.device == "cpu" and runtime.run(mosaic, pictures(1)).device == "cpu"
    (line,) = lines
    assert line == runtime.choice
    assert line.startswith("cuda stopped working (CUDA failure 700") and "the cpu goes on" in line


def test_a_processor_that_takes_over_works_as_a_processor_does(pooling: Path) -> None:
    """A batch gathered for a card would take gigabytes at once, and one core at that."""
    engine = FakeEngine()
    runtime = Runtime("auto", 2, engine=engine)
    runtime.load(pooling)
    most = CPU_BATCH_PIXELS // 128**2
    batch = pictures(2 * most + 1, 128, 128)
    engine.dead = True
    ran = runtime.run(pooling, batch)
    assert (runtime.concurrent_runs, runtime.batch_pixels) == (2, CPU_BATCH_PIXELS)
    assert ran.pictures is not None and len(ran.pictures) == len(batch)
    assert [count for device, count in engine.ran if device is Device.CPU and count > 2] == [most, most]
    expected = Runtime("cpu", 1).run(pooling, batch[-1:])
    assert expected.pictures is not None and np.array_equal(ran.pictures[-1], expected.pictures[0])


def test_a_rule_on_the_processor_beside_a_card_too(pooling: Path) -> None:
    engine = FakeEngine(wrong={Device.CUDA}, only=pooling)
    runtime = Runtime("auto", 2, engine=engine)
    assert "runs on the cpu" in runtime.load(pooling) and runtime.batch_pixels > CPU_BATCH_PIXELS
    engine.ran.clear()
    most = CPU_BATCH_PIXELS // 128**2
    runtime.run(pooling, pictures(2 * most + 1, 128, 128))
    assert [count for _, count in engine.ran] == [most, most, 1]


def test_jobs_wait_when_a_named_card_dies(pooling: Path) -> None:
    engine = FakeEngine()
    runtime, _ = lines_of("cuda", engine)
    runtime.load(pooling)
    engine.dead = True
    for _ in range(3):
        with pytest.raises(BlockedError, match=r"cuda stopped working .*start darkroom again"):
            runtime.run(pooling, pictures(2))
    assert len(engine.opened) == 3, "the probe at the start, the graph, and the probe once more: not for every picture"


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_picture_at_fault_is_not_the_card(pooling: Path, device: str) -> None:
    """The probe still runs: the picture fails, and the card goes on."""
    runtime, lines = lines_of(device, FakeEngine(bad_size=(40, 40)))
    with pytest.raises(PermanentError, match="the graph could not run it"):
        runtime.run(pooling, pictures(1, 40, 40))
    assert runtime.run(pooling, pictures(1)).device == "cuda" and lines == []


def test_a_graph_that_cannot_run_a_picture(pooling: Path) -> None:
    with pytest.raises(PermanentError, match="the graph could not run it"):
        Runtime("cpu", 1).run(pooling, [np.zeros((4, 4), np.uint8)])
