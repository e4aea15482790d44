"""How a report is written: all three files or none, nothing left behind, nothing done twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import BlockedError, DarkroomError
from daemon.model import State
from daemon.report.values import Study
from daemon.report.writer import ReportWriter
from tests.box import Pixels
from tests.report.studies import gone, make_study, seed_errors, written

FILES = ["report.csv", "report.html", "report.json"]


class Sources:
    """Gives the same photograph for every source and notes what it was asked for."""

    def __init__(self, photograph: Pixels | None) -> None:
        self.photograph = photograph
        self.asked: list[str] = []

    def __call__(self, source: str) -> Pixels | None:
        self.asked.append(source)
        return self.photograph


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_made_and_holds_three_files(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "study"
    written(folder, make_study(seed_errors(3)))
    assert sorted(contents(folder)) == FILES


def test_a_write_that_fails_leaves_the_old_report_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, make_study(seed_errors(3)))
    before = contents(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BlockedError, match=r"report.csv: cannot be written .*; free space there"):
        written(tmp_path, make_study(seed_errors(9)))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a fault of our own")])
def test_a_fault_halfway_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    written(tmp_path, make_study(seed_errors(3)))
    before = contents(tmp_path)

    def pieces(*_: object) -> Iterator[bytes]:
        yield b"the beginning"
        raise error

    monkeypatch.setattr("daemon.report.writer.html_pieces", pieces)
    with pytest.raises(DarkroomError if isinstance(error, OSError) else ValueError):
        written(tmp_path, make_study(seed_errors(9)))
    assert contents(tmp_path) == before


def test_a_file_where_the_folder_must_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("in the way")
    with pytest.raises(BlockedError, match="move it away"):
        written(tmp_path / "study", make_study(seed_errors(3)))


def test_a_rewrite_decodes_nothing_again(tmp_path: Path, photograph: Pixels) -> None:
    writer, sources = ReportWriter(), Sources(photograph)
    study = make_study(seed_errors(50, spread=2))
    first = written(tmp_path, study, sources, writer).html
    assert len(sources.asked) == len(set(sources.asked)) == 7
    assert written(tmp_path, study, sources, writer).html == first
    assert len(sources.asked) == 7


def test_new_errors_of_a_picture_are_new_content(tmp_path: Path, photograph: Pixels) -> None:
    writer, sources = ReportWriter(), Sources(photograph)
    written(tmp_path, make_study(seed_errors(1)), sources, writer)
    written(tmp_path, make_study(seed_errors(1) * 1.01), sources, writer)
    assert sources.asked == ["/in/p0.png"] * 2


def test_a_source_that_is_gone_is_asked_for_again(tmp_path: Path, photograph: Pixels) -> None:
    writer, sources = ReportWriter(), Sources(None)
    study = make_study(seed_errors(1))
    assert "can no longer be read" in written(tmp_path, study, sources, writer).html
    sources.photograph = photograph
    assert "can no longer be read" not in written(tmp_path, study, sources, writer).html


def growing(pictures: int, *, complete: bool) -> Study:
    counts = {State.DONE: pictures, State.WAITING: 0 if complete else 5}
    psnr = np.random.default_rng(1).normal(20, 3, (2000, 18))[:pictures]
    return make_study(10 ** (-psnr / 10), counts=counts)


def test_typical_pictures_stay_while_others_arrive(tmp_path: Path, photograph: Pixels) -> None:
    """A median moves with every picture; decoding three new ones a second would not pay."""
    writer, sources = ReportWriter(), Sources(photograph)
    for pictures in range(1000, 1100, 5):
        written(tmp_path, growing(pictures, complete=False), sources, writer)
    assert len(sources.asked) <= 7 + 5  # an extreme may have been replaced


def test_a_complete_report_does_not_depend_on_what_was_shown(tmp_path: Path) -> None:
    writer = ReportWriter()
    for pictures in (500, 1000, 1500):
        written(tmp_path, growing(pictures, complete=False), gone, writer)
    after = written(tmp_path, growing(2000, complete=True), gone, writer).html
    assert written(tmp_path, growing(2000, complete=True)).html == after
