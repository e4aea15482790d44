"""Graphs to test, each exported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.graph import export_onnx
from kernels.chain import canonical, parse_chain


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Callable[[object], Path]:
    """The graph of a chain, given as `steps:` is."""
    folder, made = tmp_path_factory.mktemp("graphs"), dict[str, Path]()

    def export(steps: object) -> Path:
        chain = parse_chain(steps)
        key = canonical(chain)
        if key not in made:
            export_onnx(chain, path := folder / f"{len(made)}.onnx")
            made[key] = path
        return made[key]

    return export
