"""benchmarks/gpu.py runs to its end on a machine without a card, and says that it measured the processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gpu


def test_without_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gpu, "COPY_PIXELS", 800_000)
    words = ["gpu", "--device", "cpu", "--quick", "--only", "grayscale", "--json", str(tmp_path / "gpu.json")]
    monkeypatch.setattr("sys.argv", words)
    gpu.main()
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert written["only_cpu"] and written["measured"] == "ONLY THE PROCESSOR WAS MEASURED (as asked for)"
    assert capsys.readouterr().out.rstrip().endswith(written["measured"])
    assert set(written) >= {"date", "command", "versions", "copy_bytes_per_second", "rows", "daemon"}
    assert [(row["size"], row["batch"]) for row in written["rows"]] == [("256×256", 1), ("256×256", 4)]
    for row in written["rows"]:
        assert row["traffic"] == 2 * row["batch"] * 256 * 256 * 3 and row["resident"] > 0 and row["fault"] == ""
        assert row["near"] == pytest.approx(row["traffic"] / row["resident"] / written["copy_bytes_per_second"])


def test_batches_of_the_sweep_end_at_the_bound() -> None:
    bench = object.__new__(gpu.Bench)
    bench.most = 64_000_000
    assert bench._batches(256 * 256) == [1, 8, 64, 512, 976]
    assert bench._batches(12_000_000) == [1, 5] and bench._batches(100_000_000) == []
