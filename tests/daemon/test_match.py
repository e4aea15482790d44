"""Which names a rule takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.intake.match import ignored, matches
from daemon.model import DEFAULT_MATCH


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "a.b.tiff", "x/y/a.WebP", "käse 写真.png", "line\nbreak.png"])
def test_default_takes(name: str) -> None:
    assert matches(DEFAULT_MATCH, name)


@pytest.mark.parametrize("name", ["a.gif", "jpg", "a.jpg.txt", "a.png/b.txt", "a.jpg\n"])
def test_default_leaves(name: str) -> None:
    assert not matches(DEFAULT_MATCH, name)


def test_glob_with_a_slash_is_held_against_the_whole_path() -> None:
    assert matches(["raw/*.png"], "raw/a.png") and matches(["raw/*.png"], "RAW/deep/a.png")
    assert not matches(["raw/*.png"], "a.png") and not matches(["raw/*.png"], "other/raw/a.png")


def test_signs_of_regular_expressions_are_plain() -> None:
    assert matches(["a+(1).png"], "a+(1).png") and not matches(["a+(1).png"], "aa1.png")
    assert matches(["[ab].png"], "b.png") and not matches(["[!ab].png"], "b.png")


def test_nothing_matches_no_globs() -> None:
    assert not matches([], "a.png")


@pytest.mark.parametrize("name", [".a.png", "...", ".~lock.a#", ".darkroom-1-2.tmp", "@eaDir"])
@pytest.mark.parametrize("again", [str, str.upper], ids=["", "upper"])
def test_never_taken_for_its_beginning(name: str, again: Callable[[str], str]) -> None:
    assert ignored(again(name))


@pytest.mark.parametrize("name", ["a.part", "A.PART", "a.crdownload", "a.tmp", "a.png~", "thumbs.db", "desktop.ini"])
def test_never_taken(name: str) -> None:
    assert ignored(name)


@pytest.mark.parametrize("name", ["a.png", "part.png", "a.tmp.png", "Thumbs.db.png", "~a.png", "-rf.png"])
def test_not_ignored(name: str) -> None:
    assert not ignored(name)
