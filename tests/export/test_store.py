"""The store of compiled graphs: found again, built once, never half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import export.store
import kernels
from export.store import ExportCancelled, ExportError, GraphStore
from kernels.chain import parse_chain

CHAIN = parse_chain("grayscale")
ENSURE = (
    "import sys; from pathlib import Path; from export.store import GraphStore; from kernels.chain import parse_chain; "
)
ENSURE += "print(GraphStore(Path(sys.argv[1])).ensure(parse_chain('grayscale')))"
POPEN = subprocess.Popen
ROOT = Path(export.store.__file__).parent.parent


def another_process(folder: Path) -> subprocess.Popen[str]:
    """A second daemon that wants the same graph."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ENSURE, str(folder)]
    return POPEN(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)


def published(folder: Path) -> list[str]:
    """What lies in the folder, except locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


class Compiler:
    """In place of the child that exports: runs `program`, which by default writes a few bytes, and counts the runs."""

    program = (
        "import sys, time; time.sleep(0.3); open(sys.argv[1], 'wb').write(b'graph'); "
        'print(\'{"golden": {"none": "a stand-in"}}\')'
    )
    runs = 0

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[str]:
        self.runs += 1
        return POPEN([sys.executable, "-c", self.program, *command[4:]], **options)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """The compiler that the stores of this process use."""
    compiler = Compiler()
    monkeypatch.setattr(subprocess, "Popen", compiler.start)
    return compiler


def test_two_processes_build_once_whatever_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    rivals = [another_process(tmp_path), another_process(tmp_path)]
    assert {rival.communicate(timeout=120)[0] for rival in rivals} == {f"{GraphStore(tmp_path).find(CHAIN)}\n"}
    key = GraphStore(tmp_path).key(CHAIN)
    assert published(tmp_path) == [f"{key}.json", f"{key}.onnx"]
    card = json.loads((tmp_path / f"{key}.json").read_text())
    assert card["chain"] == [{"grayscale": {}}]
    assert card["opset"] == 18
    assert set(card["versions"]) == {"torch", "onnx", "onnxscript"}
    assert card["created"]


def test_threads_build_once(tmp_path: Path, compiler: Compiler) -> None:
    store = GraphStore(tmp_path)
    threads = [threading.Thread(target=store.ensure, args=(CHAIN,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert compiler.runs == 1
    assert store.find(CHAIN)


def test_a_graph_is_found_again(tmp_path: Path, compiler: Compiler) -> None:
    store = GraphStore(tmp_path / "deep" / "folder")
    assert store.find(CHAIN) is None
    assert store.ensure(CHAIN) == store.find(CHAIN) == GraphStore(store.directory).ensure(CHAIN)
    assert compiler.runs == 1


@pytest.mark.parametrize("suffix", [".onnx", ".json"])
@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_a_damaged_graph_is_built_again(tmp_path: Path, compiler: Compiler, suffix: str, damage: bytes | None) -> None:
    store = GraphStore(tmp_path)
    victim = store.ensure(CHAIN).with_suffix(suffix)
    victim.unlink() if damage is None else victim.write_bytes(damage)
    assert store.find(CHAIN) is None
    assert store.ensure(CHAIN).read_bytes() == b"graph"
    assert compiler.runs == 2


@pytest.mark.parametrize("golden", [None, {}, {"outputs": {}}, {"none": "another reason"}])
def test_a_graph_whose_golden_picture_is_damaged_is_built_again(
    tmp_path: Path, compiler: Compiler, golden: object
) -> None:
    """It would be run without any proof."""
    store = GraphStore(tmp_path)
    card = store.ensure(CHAIN).with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), "golden": golden}))
    assert store.find(CHAIN) is None and store.ensure(CHAIN) == store.find(CHAIN)
    assert compiler.runs == 2


def test_the_key_changes_with_all_that_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = GraphStore(tmp_path)
    keys = {store.key(CHAIN), store.key(CHAIN), store.key(parse_chain("mosaic"))}
    assert len(keys) == 2
    monkeypatch.setattr(export.store, "OPSET", 17)
    keys.add(store.key(CHAIN))
    monkeypatch.setattr(export.store, "version", lambda name: "0")
    keys.add(store.key(CHAIN))
    (tmp_path / "mosaic.py").write_text("an operator, changed")
    monkeypatch.setattr(kernels, "__path__", [str(tmp_path)])
    keys.add(store.key(CHAIN))
    (tmp_path / "mosaic.py").write_text("an operator, changed again")
    keys.add(store.key(CHAIN))
    assert len(keys) == 6


FAILURES = [
    ("import sys; sys.exit('first\\nRuntimeError: no such thing')", "RuntimeError: no such thing; try", None),
    ("import os; os.kill(os.getpid(), 9)", "killed by signal 9; free memory", None),
    ("import sys; print('{\"errno\": 28}'); sys.exit(1)", "No space left on device.*free some space", 28),
    ("import sys; print('{\"errno\": 13}'); sys.exit(1)", "Permission denied", 13),
    ("import sys; print('7'); sys.exit(3)", "ended with 3", None),
    ("pass", "No such file", 2),
]


@pytest.mark.parametrize(("program", "text", "number"), FAILURES)
def test_a_failure_is_one_line_and_leaves_nothing(
    tmp_path: Path, compiler: Compiler, program: str, text: str, number: int | None
) -> None:
    compiler.program = program
    with pytest.raises(ExportError, match=text) as caught:
        GraphStore(tmp_path).ensure(CHAIN)
    assert "\n" not in str(caught.value)
    assert caught.value.errno == number
    assert published(tmp_path) == []


def test_the_real_child_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.store, "canonical", lambda chain: '["mosiac"]')
    monkeypatch.setattr(GraphStore, "key", lambda self, chain: "0")
    with pytest.raises(ExportError, match="did you mean mosaic"):
        GraphStore(tmp_path).ensure(CHAIN)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_comes_out_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = export.store._run_child
    monkeypatch.setattr(export.store, "_run_child", lambda chain, path, wait: run(chain, Path("/dev/full"), wait))
    with pytest.raises(ExportError, match="No space left on device while compiling; free some space") as caught:
        GraphStore(tmp_path).ensure(CHAIN)
    assert caught.value.errno == 28


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="Not a directory"):
        GraphStore(tmp_path / "file" / "folder").ensure(CHAIN)


def test_time_out_and_cancel_end_the_child_soon(tmp_path: Path, compiler: Compiler) -> None:
    compiler.program = "import time; time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(ExportError, match=r"took more than 0.2 s"):
        GraphStore(tmp_path).ensure(CHAIN, timeout=0.2)
    with pytest.raises(ExportCancelled):
        GraphStore(tmp_path).ensure(CHAIN, cancel=lambda: time.monotonic() > started + 0.6)
    assert time.monotonic() < started + 5
    assert published(tmp_path) == []


def test_a_killed_builder_leaves_nothing_half(tmp_path: Path, compiler: Compiler) -> None:
    builder = another_process(tmp_path)
    lock = tmp_path / f"{GraphStore(tmp_path).key(CHAIN)}.lock"
    deadline = time.monotonic() + 30
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.killpg(builder.pid, signal.SIGKILL)
    builder.communicate(timeout=30)
    (tmp_path / f".darkroom-{lock.stem}-7.onnx").write_bytes(b"half")  # as a builder killed later would leave it
    store = GraphStore(tmp_path)
    assert store.find(CHAIN) is None
    assert store.ensure(CHAIN).read_bytes() == b"graph"
    assert published(tmp_path) == [f"{lock.stem}.json", f"{lock.stem}.onnx"]
