"""Compiled graphs on disk, addressed by what they were made from. Safe to build twice at once; loads no torch.

`KEY.onnx` is a graph and `KEY.json`, its card, says what it is and holds a golden picture (export/golden.py); a graph
without a matching `KEY.json` is not there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import kernels
from export import OPSET
from kernels.chain import Chain, canonical, describe

Cancel: TypeAlias = Callable[[], bool]

POLL = 0.05  # seconds between two looks at the lock, the child, and whether anybody still wants the graph
TEMPORARY = ".darkroom-"
CARD = 3  # of the format of KEY.json: 3 has a golden picture (export/golden.py), or says why not, and its checksum


class ExportError(Exception):
    """A chain that could not be compiled, in one line with its remedy. `errno` is set where the system refused."""

    def __init__(self, text: str, errno: int | None = None) -> None:
        super().__init__(text)
        self.errno = errno


class ExportCancelled(ExportError):
    """Nobody wants the graph any more; nothing is wrong with it."""


class GraphStore:
    """The compiled graphs in one folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    def key(self, chain: Chain) -> str:
        """The address of a chain's graph: SHA-256, in hex, over all that the graph depends on."""
        recipe = json.dumps(self._recipe(chain), sort_keys=True)
        return hashlib.sha256(recipe.encode()).hexdigest()

    def find(self, chain: Chain) -> Path | None:
        """The chain's graph if it is there and undamaged."""
        return self._sound(self.key(chain))

    def ensure(self, chain: Chain, timeout: float = 300, cancel: Cancel | None = None) -> Path:
        """The chain's graph, built in a child process if it is not there; of several callers at once, one builds.

        `timeout` is in seconds, waiting for other builders included. Raises ExportError, and ExportCancelled soon
        after `cancel` says so.
        """
        patience = _Patience(describe(chain), timeout, cancel)
        key = self.key(chain)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with _locked(self.directory / f"{key}.lock", patience):
                return self._sound(key) or self._build(key, chain, patience)
        except OSError as error:
            raise _refused(self.directory, error.errno) from error

    def _recipe(self, chain: Chain) -> dict[str, object]:
        chain_told, versions = json.loads(canonical(chain)), _versions()
        return {"chain": chain_told, "opset": OPSET, "versions": versions, "sources": _sources(), "card": CARD}

    def _sound(self, key: str) -> Path | None:
        path = self.directory / f"{key}.onnx"
        try:
            card = json.loads(path.with_suffix(".json").read_bytes())
            sound = card["golden_sha256"] == checksum(card["golden"]) and card["sha256"] == _sha256(path)
            return path if sound else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # missing or damaged: the same to the caller, it is built again

    def _build(self, key: str, chain: Chain, patience: _Patience) -> Path:
        for stale in self.directory.glob(f"{TEMPORARY}{key}*"):
            stale.unlink()  # of a builder that was killed: the lock is ours
        graph = self.directory / f"{TEMPORARY}{key}-{os.getpid()}-{time.monotonic_ns()}.onnx"
        card = graph.with_suffix(".json")
        try:
            golden = _run_child(chain, graph, patience)
            created = datetime.now(UTC).isoformat(timespec="seconds")
            made = {"sha256": _sha256(graph), "created": created, "golden": golden, "golden_sha256": checksum(golden)}
            text = json.dumps({**made, **self._recipe(chain)}, indent=2)
            card.write_text(text + "\n")
            return self._publish(key, graph, card)
        finally:
            graph.unlink(missing_ok=True)
            card.unlink(missing_ok=True)

    def _publish(self, key: str, graph: Path, card: Path) -> Path:
        """Durable, then in place; the card last, since it is what makes the graph count."""
        target = self.directory / f"{key}.onnx"
        _sync(graph)
        _sync(card)
        graph.rename(target)
        card.rename(target.with_suffix(".json"))
        _sync(self.directory)
        return target


def checksum(golden: object) -> str:
    """Of the golden picture in a card: without it a graph would not be held against PyTorch any more."""
    return hashlib.sha256(json.dumps(golden, sort_keys=True).encode()).hexdigest()


class _Patience:
    """How long a caller goes on waiting."""

    def __init__(self, what: str, timeout: float, cancel: Cancel | None) -> None:
        self.what, self._timeout, self._cancel = what, timeout, cancel
        self._deadline = time.monotonic() + timeout

    def check(self) -> None:
        """Raises ExportCancelled or, once the time is over, ExportError."""
        if self._cancel is not None and self._cancel():
            raise ExportCancelled(f"compiling {self.what} was cancelled; it starts again when it is needed")
        if time.monotonic() > self._deadline:
            raise ExportError(f"compiling {self.what} took more than {self._timeout:g} s; try again on an idle machine")


@contextlib.contextmanager
def _locked(path: Path, patience: _Patience) -> Iterator[None]:
    """Hold the lock file `path`. The system lets go of it when the holder dies, however it dies."""
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                patience.check()
                time.sleep(POLL)
        yield


def _run_child(chain: Chain, graph: Path, patience: _Patience) -> object:
    """Run `export.build` to its end; it never outlives this call. What PyTorch makes of a small picture, as JSON."""
    command = [sys.executable, "-P", "-m", "export.build", str(graph), str(os.getpid())]
    pipe = subprocess.PIPE
    # A session of its own: Ctrl-C in the terminal is for the daemon, which then ends the child in good order.
    with subprocess.Popen(
        command, env=child_environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as child:
        try:
            said, complaint = _converse(child, canonical(chain), patience)
        finally:
            child.kill()
    if child.returncode != 0:
        raise _failure(patience.what, graph.parent, child.returncode, said, complaint)
    return _last_line(said).get("golden")


def _converse(child: subprocess.Popen[str], request: str | None, patience: _Patience) -> tuple[str, str]:
    while True:
        patience.check()
        try:
            return child.communicate(request, timeout=POLL)
        except subprocess.TimeoutExpired:
            request = None  # sent; communicate goes on where it was


def child_environment() -> dict[str, str]:
    """The child finds the same packages, installed or in a checkout, whatever its working directory is."""
    path = [str(Path(kernels.__path__[0]).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def _failure(what: str, directory: Path, status: int, said: str, complaint: str) -> ExportError:
    if (number := _last_line(said).get("errno")) is not None:
        return _refused(directory, number)
    killed = f"the compiler was killed by signal {-status}" if status < 0 else f"the compiler ended with {status}"
    reason = (complaint.strip().splitlines() or [killed])[-1]
    remedy = (
        "free memory and try again" if status == -9 else "try `darkroom export`; if it fails too, reinstall darkroom"
    )
    return ExportError(f"compiling {what} failed: {reason}; {remedy}")


def _last_line(said: str) -> dict[str, Any]:
    """What the child gave, as JSON; empty when it did not come so far."""
    with contextlib.suppress(ValueError, LookupError):
        told = json.loads(said.splitlines()[-1])
        return told if isinstance(told, dict) else {}
    return {}


def _refused(directory: Path, number: int | None) -> ExportError:
    full = number in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space there" if full else "check that the folder can be written"
    return ExportError(f"{directory}: {os.strerror(number or errno.EIO)} while compiling; {remedy}", number)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "onnx", "onnxscript")}


def _sources() -> str:
    """SHA-256 over what makes graphs and their golden pictures: a change there makes others."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    for path in [*sorted(Path(kernels.__path__[0]).glob("*.py")), here / "graph.py", here / "golden.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
