"""Where TensorRT's engines lie: one folder for all that an engine depends on, so that a wrong one is never found.

The provider's own file names hold a hash of the graph's names, the card's generation and its versions; "the prevention
can't be 100%", its authors write (onnxruntime #22921), and wrong engines were reused (triton onnxruntime_backend #124).
Nothing of the shape is in them. So every engine has a folder of its own, named by a key over everything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.runtime.devices import Gpu
from daemon.runtime.engine import Source
from daemon.runtime.providers import Bucket, tensorrt_options

TEMPORARY = ".darkroom-"
TIMING = "timing"
KEEP = 64
"""Folders kept; the one used longest ago goes first. An engine of these graphs has a few megabytes."""


def parts_of(graph: Source, gpu: Gpu, bucket: Bucket | None) -> Mapping[str, str]:
    """What an engine depends on beside the versions of the libraries."""
    model = graph if isinstance(graph, bytes) else graph.read_bytes()
    options = tensorrt_options(gpu.memory, Path(), Path())
    return {
        "graph": hashlib.sha256(model).hexdigest(),
        "gpu": gpu.name,
        "capability": str(gpu.capability),
        "driver": gpu.driver,
        "profile": bucket.key if bucket else "any",
        "options": json.dumps({name: value for name, value in options.items() if "path" not in name}, sort_keys=True),
    }


def key_of(parts: Mapping[str, str]) -> str:
    """SHA-256, in hex, over all parts."""
    return hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()


def folder_for(cache: Path, graph: Path, gpu: Gpu, versions: Mapping[str, str]) -> Path:
    """A folder for what TensorRT-RTX compiles for a graph, any size of picture. It checks what it finds there itself,
    but names files by parts of graphs, which two graphs may share."""
    folder = cache / key_of({**versions, **parts_of(graph, gpu, None)})
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def timing_folder(cache: Path) -> Path:
    """Where measured kernel times lie, shared by all engines: TensorRT itself refuses those of another card."""
    return cache / TIMING


@contextlib.contextmanager
def place(cache: Path, parts: Mapping[str, str]) -> Iterator[Path]:
    """The folder for an engine while it is loaded or built. It counts only if the block ends well.

    A new one is built under a temporary name and renamed; one that was there and does not do is removed, so that the
    next start builds it anew. Raises OSError where nothing can be written.
    """
    folder = cache / key_of(parts)
    timing_folder(cache).mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        with _removed_on_failure(folder):
            yield folder
        with contextlib.suppress(OSError):  # only `prune` reads it
            os.utime(folder)
        return
    # Not by the number of the process: in a container a daemon that was killed had the same.
    building = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{folder.name}-", dir=cache))
    with _removed_on_failure(building):
        yield building
        (building / "made-for.json").write_text(json.dumps(dict(parts), indent=2) + "\n", encoding="utf-8")
        building.rename(folder)
    prune(cache)


@contextlib.contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def prune(cache: Path, keep: int = KEEP) -> None:
    """Remove the engines used longest ago, beyond `keep`."""
    with contextlib.suppress(OSError):  # a cache that cannot be tidied still serves
        engines = [entry for entry in cache.iterdir() if entry.is_dir() and len(entry.name) == 64]
        for stale in sorted(engines, key=lambda entry: entry.stat().st_mtime)[: max(0, len(engines) - keep)]:
            shutil.rmtree(stale, ignore_errors=True)


def clear_leftovers(cache: Path) -> None:
    """Remove what a killed run was building. For the one daemon that owns the cache, at its start."""
    for entry in cache.glob(f"{TEMPORARY}*"):
        shutil.rmtree(entry, ignore_errors=True)
