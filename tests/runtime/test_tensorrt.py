"""TensorRT's engines: built behind CUDA's back, used when proven, gone without a trace when they are not."""

from __future__ import annotations

import gc
import os
import time
import weakref
from pathlib import Path

import pytest

from daemon.runtime import Runtime, tensorrt
from daemon.runtime.devices import PROVIDERS, Device, OutOfMemory
from daemon.runtime.engine import Source
from daemon.runtime.engine_cache import TEMPORARY, TIMING
from daemon.runtime.providers import Plan
from daemon.runtime.tensorrt import HOT, bucket_for
from tests.box import wait_until
from tests.runtime.fakes import FakeEngine, FakeSession
from tests.runtime.test_runtime import pictures


class Card:
    """A runtime with a card and a folder for engines; `lines` is what the user was told."""

    def __init__(self, folder: Path, device: str = "tensorrt", **told: object) -> None:
        self.engine = FakeEngine(**told)  # type: ignore[arg-type]
        self.cache = folder / "engines"
        self.lines = list[str]()
        self.runtime = Runtime(device, 2, cache=self.cache, tell=self.lines.append, engine=self.engine)
        self.engine.opened.clear()

    def run(self, graph: Path, count: int = HOT, height: int = 48, width: int = 64) -> str:
        return self.runtime.run(graph, pictures(count, height, width)).device

    def wait(self, word: str) -> None:
        wait_until(lambda: any(word in line for line in self.lines), what=word)

    def kept(self) -> list[Path]:
        return sorted(folder for folder in self.cache.iterdir() if folder.name != TIMING)

    def builds(self) -> int:
        return sum(plan.device is Device.TENSORRT for plan in self.engine.opened)


def test_cuda_serves_until_the_engine_is_there(tmp_path: Path, pooling: Path) -> None:
    """The first picture never waits, however long a build takes."""
    card = Card(tmp_path, build_seconds=0.5)
    assert card.runtime.device == "tensorrt"
    begun = time.monotonic()
    assert card.run(pooling) == "cuda" and card.engine.building.wait(5)
    assert card.run(pooling) == "cuda" and time.monotonic() - begun < 0.5
    card.wait("tensorrt: takes over pictures of 64×48")
    assert card.run(pooling) == "tensorrt" and card.runtime.device_of(pooling) == "tensorrt"
    assert card.run(pooling, 1) == "tensorrt", "any batch up to the largest goes through the same engine"
    assert card.run(pooling, 1, 32, 32) == "cuda", "other sizes do not"


def test_a_size_seen_in_passing_is_not_worth_an_engine(tmp_path: Path, pooling: Path) -> None:
    card = Card(tmp_path)
    for height in range(20, 40):
        assert card.run(pooling, HOT - 1, height) == "cuda"
    assert card.builds() == 0


def test_a_batch_larger_than_the_engine_goes_through_in_parts(
    tmp_path: Path, pooling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "BATCH_PICTURES", 4)
    card = Card(tmp_path)
    card.run(pooling)
    card.wait("takes over")
    card.engine.ran.clear()
    assert card.run(pooling, 10) == "tensorrt"
    assert card.engine.ran == [(Device.TENSORRT, 4), (Device.TENSORRT, 4), (Device.TENSORRT, 2)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"build_error": "TensorRT EP failed to create engine"}, "failed to create engine"),
        ({"wrong": {Device.TENSORRT}}, "computes something else"),
        ({"strays": {Device.TENSORRT}}, "left to the processor"),
        ({"silent": {Device.TENSORRT}}, "silently fell back"),
    ],
)
def test_an_engine_that_fails_is_told_once_and_not_tried_again(
    tmp_path: Path, pooling: Path, fault: dict[str, object], words: str
) -> None:
    card = Card(tmp_path, "tensorrt", only=pooling, **fault)
    before = card.kept()
    card.run(pooling)
    card.wait(words)
    for _ in range(3):
        assert card.run(pooling) == "cuda"
    (line,) = card.lines
    assert line.startswith("tensorrt: no engine for pictures of 64×48 (") and line.endswith("cuda goes on with them")
    assert card.builds() == 1 and card.kept() == before, "and nothing of it is kept"


def test_an_engine_that_fails_in_use_makes_way(tmp_path: Path, pooling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(tmp_path)
    card.run(pooling)
    card.wait("takes over")
    run = FakeSession.run

    def full(session: FakeSession, batch: object) -> object:
        if session._plan.device is Device.TENSORRT:
            raise OutOfMemory("Failed to allocate memory")
        return run(session, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeSession, "run", full)
    assert card.run(pooling) == "cuda", "the batch is not lost"
    assert "Failed to allocate memory" in card.lines[-1] and card.run(pooling) == "cuda"


def test_graphs_in_double_precision_stay_with_cuda(tmp_path: Path, mosaic: Path) -> None:
    """TensorRT would compute them in single precision and call it done."""
    card = Card(tmp_path)
    for _ in range(3):
        assert card.run(mosaic) == "cuda"
    assert card.builds() == 0


def test_auto_wants_an_engine_to_be_faster(tmp_path: Path, pooling: Path) -> None:
    card = Card(tmp_path, "auto", slower=True)
    assert card.runtime.device == "cuda"
    card.run(pooling)
    wait_until(lambda: card.runtime._builder is not None and card.runtime._builder._failed)
    assert card.run(pooling) == "cuda" and card.lines == [], "nothing is wrong, so nothing is said"
    named = Card(tmp_path / "named", slower=True)
    named.run(pooling)
    named.wait("takes over")
    assert named.run(pooling) == "tensorrt", "who names it gets it"


def test_explicit_profiles_and_what_happens_where_they_do_not_suffice(tmp_path: Path, pooling: Path) -> None:
    card = Card(tmp_path, needs_profile=True)
    card.engine.ran.clear()
    card.run(pooling)
    card.wait("takes over")
    first, second = (
        dict(dict(plan.providers)[PROVIDERS[Device.TENSORRT]])
        for plan in card.engine.opened
        if plan.device is Device.TENSORRT
    )
    assert first["trt_profile_min_shapes"] == "input:1x48x64x3"
    assert first["trt_profile_max_shapes"] == first["trt_profile_opt_shapes"] == "input:256x48x64x3"
    assert not any("profile" in name for name in second)
    shown = [count for device, count in card.engine.ran if device is Device.TENSORRT]
    assert shown == [256, 1], "the provider's own profile then reaches from one picture to a full batch"


def test_engines_in_use_are_bounded(tmp_path: Path, pooling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "MOST_ENGINES", 2)
    card = Card(tmp_path)
    for height in (30, 31):
        card.run(pooling, HOT, height)
        card.wait(f"64×{height}")
    assert card.run(pooling, 1, 30) == "tensorrt", "used last"
    card.run(pooling, HOT, 32)
    card.wait("64×32")
    assert [card.run(pooling, 1, height) for height in (30, 31, 32)] == ["tensorrt", "cuda", "tensorrt"]


def test_an_engine_is_found_again(tmp_path: Path, pooling: Path) -> None:
    for _ in range(2):
        card = Card(tmp_path)
        card.run(pooling)
        card.wait("takes over")
        assert card.runtime.close()
    kept = [folder for folder in card.kept() if (folder / "some.engine").exists()]
    assert len(kept) == 1, "one folder, and none of a build that was interrupted"


def test_what_a_killed_daemon_was_building_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the next daemon has the same number."""
    made = list[Path]()

    def killed(source: Path, target: Path) -> None:
        made.append(source)
        (source.parent / f"{TEMPORARY}{target.name}-{os.getpid()}").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "rename", killed)
        Card(tmp_path)
    card = Card(tmp_path)
    assert made and card.runtime.device == "tensorrt"
    assert not list(card.cache.glob(f"{TEMPORARY}*"))


def test_the_end_does_not_wait_for_a_build(tmp_path: Path, pooling: Path) -> None:
    card = Card(tmp_path, build_seconds=1.0)
    card.run(pooling)
    assert card.engine.building.wait(5)
    begun = time.monotonic()
    assert not card.runtime.close(0.1) and time.monotonic() - begun < 0.9
    builder = card.runtime._builder
    assert builder is not None
    wait_until(lambda: builder.close(0))
    assert card.lines == []


def test_a_card_that_is_given_up_takes_its_builder_along(tmp_path: Path, pooling: Path) -> None:
    """Its build may hang with the card: the end must not take it for done, nor the user hear that cuda goes on."""
    card = Card(tmp_path, "auto", build_seconds=1.0)
    card.run(pooling)
    assert card.engine.building.wait(5)
    card.engine.dead = True
    assert card.run(pooling) == "cpu" and card.runtime.device == "cpu"
    assert not card.runtime.close(0.05), "a build goes on"
    builder = card.runtime._builder
    assert builder is not None
    wait_until(lambda: builder.close(0))
    assert not card.runtime.close(0.05), "and what a lost card holds is not freed"
    (line,) = card.lines
    assert "the cpu goes on" in line


def test_buckets_bound_pixels_and_pictures() -> None:
    assert bucket_for((256, 256)).most == 244 and bucket_for((16, 16)).most == 256
    assert bucket_for((6000, 8000)).most == 1


def test_sessions_of_graphs_that_no_rule_has_are_freed(tmp_path: Path, pooling: Path, mosaic: Path) -> None:
    """On a card each holds memory. One that a picture in flight needs after all is opened again."""
    card, sessions = Card(tmp_path), list[tuple[object, weakref.ref[FakeSession]]]()
    real = card.engine.open

    def opened(graph: Source, plan: Plan) -> FakeSession:
        session = real(graph, plan)
        sessions.append((graph, weakref.ref(session)))
        return session

    card.engine.open = opened  # type: ignore[method-assign]

    def held(graph: Path) -> int:
        gc.collect()
        return sum(each == graph and session() is not None for each, session in sessions)

    card.run(mosaic, 1)
    card.run(pooling)
    wait_until(lambda: card.run(pooling) == "tensorrt", what="the engine")
    assert (held(mosaic), held(pooling)) == (1, 2)
    card.runtime.keep([mosaic])
    wait_until(lambda: held(pooling) == 0, what="the thread that built it to let go")
    assert held(mosaic) == 1 and card.run(pooling, 1) == "cuda"
