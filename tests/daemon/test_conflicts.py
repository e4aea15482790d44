"""What stands in the way of an output, and what becomes of the source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.box import Box, Pixels, encoded


def test_overwrite_replaces_a_foreign_file(box: Box, small: Pixels) -> None:
    box.drop("out/cat.png", b"old")
    box.drop("in/cat.png", small)
    box.once()
    assert box.picture("out/cat.png").shape == small.shape


def test_skip_lets_it_be(box: Box, small: Pixels) -> None:
    box.rules("on_conflict: skip")
    box.drop("out/cat.png", b"old")
    box.drop("in/cat.png", small)
    box.once()
    assert (box.folder / "out/cat.png").read_bytes() == b"old"
    assert box.states() == {"cat.png": "skipped"} and "exists" in box.jobs()[0]["reason"]


def test_rename_finds_a_free_name_and_comes_back_to_it(box: Box, small: Pixels) -> None:
    box.rules("on_conflict: rename")
    box.drop("out/cat.png", b"old")
    box.drop("out/cat-1.png", b"older")
    box.drop("in/cat.png", small)
    box.once()
    assert box.files() == ["cat-1.png", "cat-2.png", "cat.png"]
    box.drop("in/cat.png", small[::-1].copy(), age=30)
    box.once()
    assert box.files() == ["cat-1.png", "cat-2.png", "cat.png"]
    assert (box.folder / "out/cat.png").read_bytes() == b"old"


@pytest.mark.parametrize("policy", ["rename", "skip", "overwrite"])
def test_own_output_of_the_same_source_is_no_conflict(box: Box, small: Pixels, policy: str) -> None:
    box.rules(f"on_conflict: {policy}")
    box.drop("in/cat.png", small)
    box.once()
    box.drop("in/cat.png", small[::-1].copy(), age=30)
    box.once()
    assert box.files() == ["cat.png"] and set(box.states().values()) == {"done"}


def test_two_sources_for_one_name(box: Box, small: Pixels) -> None:
    box.rules("output: out/{stem}.png\non_conflict: rename")
    box.drop("in/cat.png", small)
    box.drop("in/cat.jpg", small)
    box.drop("in/sub/cat.bmp", small)
    box.once()
    assert box.files() == ["cat-1.png", "cat-2.png", "cat.png"]


def test_an_original_in_a_watched_folder_is_never_overwritten(box: Box, small: Pixels) -> None:
    box.rules("output: in/{stem}.png\nmatch: ['*.jpg']")
    box.drop("in/cat.png", b"an original of the user's, of another rule or none")
    box.drop("in/cat.jpg", small)
    box.once(check=1)
    assert (box.folder / "in/cat.png").read_bytes().startswith(b"an original")
    assert "watched folder" in box.jobs()[0]["reason"]


def test_an_output_never_replaces_its_own_source(box: Box, small: Pixels) -> None:
    box.rules("output: in/{stem}.png")
    path = box.drop("in/cat.png", small)
    before = path.read_bytes()
    box.once(check=1)
    assert path.read_bytes() == before and "own source" in box.jobs()[0]["reason"]


def test_source_delete_and_the_same_file_dropped_again(box: Box, small: Pixels) -> None:
    box.rules("source: delete")
    content = encoded(small, ".png")
    for _ in range(2):
        path = box.drop("in/cat.png", content, age=0)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        box.once()
        assert box.files("in") == [] and box.files() == ["cat.png"]
        (box.folder / "out/cat.png").unlink()
    assert len(box.jobs("--state", "done")) == 2


@pytest.mark.parametrize("source", ["delete", "{move: {to: 'originals/{name}'}}"], ids=["delete", "move"])
def test_a_source_waits_for_every_rule_that_takes_it(box: Box, small: Pixels, source: str) -> None:
    config = (box.folder / "config.yaml").read_text()
    second = "  - {name: copy, watch: in, steps: [mosaic: {block: 16}], output: 'copy/{name}'}\n"
    box.write_config(config.rstrip() + f"\n    source: {source}\n" + second)
    names = [f"{index}.png" for index in range(8)]
    for index, name in enumerate(names):
        box.drop(f"in/{name}", np.roll(small, index, axis=0))
    box.drop("in/broken.png", b"broken")
    box.once(check=1)
    assert set(names) <= set(box.files()) and set(names) <= set(box.files("copy"))
    assert box.files("in") == ["broken.png"]


def test_a_failed_source_is_kept(box: Box) -> None:
    box.rules("source: delete")
    box.drop("in/cat.png", b"broken")
    box.once(check=1)
    assert box.files("in") == ["cat.png"]


def test_source_move(box: Box, small: Pixels) -> None:
    box.rules("source: {move: {to: 'originals/{dir}/{name}'}}")
    box.drop("originals/a/cat.png", b"another")
    source = box.drop("in/a/cat.png", small)
    content = source.read_bytes()
    box.once()
    assert box.files("in") == [] and box.files("originals") == ["a/cat-1.png", "a/cat.png"]
    assert (box.folder / "originals/a/cat-1.png").read_bytes() == content


def test_a_moved_source_is_not_taken_again(box: Box, small: Pixels) -> None:
    box.rules("source: {move: {to: 'in/originals/{name}'}}")
    box.drop("in/cat.png", small)
    box.once()
    box.once()
    assert box.files("in") == ["originals/cat.png"] and len(box.jobs()) == 1


@pytest.mark.parametrize("to", ["in/done/{name}", "link/{name}"])
def test_a_source_that_lies_where_it_would_be_moved_to_stays(box: Box, small: Pixels, to: str) -> None:
    """As after a restore from a copy, or where a link leads back: one file under two names is no proof of a copy."""
    (box.folder / "link").symlink_to("in/done")
    box.rules(f"source: {{move: {{to: '{to}'}}}}\noutput: out/{{name}}.png")
    source = box.drop("in/done/cat.png", small)
    content = source.read_bytes()
    box.once()
    assert source.read_bytes() == content and box.states() == {"cat.png": "done"}
    box.once()
    assert source.read_bytes() == content and len(box.jobs()) == 1


def test_a_link_in_the_place_of_an_original_is_no_copy_of_it(box: Box, small: Pixels) -> None:
    box.rules("source: {move: {to: 'originals/{name}'}}")
    source = box.drop("in/cat.png", small)
    content = source.read_bytes()
    (box.folder / "originals").mkdir()
    (box.folder / "originals/cat.png").symlink_to(source)
    box.once()
    assert (box.folder / "originals/cat-1.png").read_bytes() == content and not source.exists()


def through_links(box: Box, *more: str) -> None:
    """Two rules that write to one folder by two names."""
    (box.folder / "real").mkdir()
    rules = ""
    for name in ("one", "two"):
        (box.folder / f"out-{name}").symlink_to("real")
        keys = [
            f"name: {name}",
            f"watch: {name}",
            "steps: [mosaic: {block: 16}]",
            f"output: 'out-{name}/{{name}}'",
            *more,
        ]
        rules += f"  - {{{', '.join(keys)}}}\n"
    box.write_config(f"version: 1\nsettle: 100ms\nrules:\n{rules}")


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "one after the other"])
def test_links_to_one_folder_make_no_two_names(box: Box, small: Pixels, apart: bool) -> None:
    through_links(box, "source: delete")
    box.drop("one/x.png", small)
    if apart:
        box.once()
    box.drop("two/x.png", small[::-1].copy())
    box.once(check=1)
    assert box.files("real") == ["x.png", "x.png.error.txt"]
    assert len([*box.files("one"), *box.files("two")]) == 1, "what was not published is still there"
    assert "on_conflict: rename" in box.jobs("--state", "failed")[0]["reason"]
    assert "become the same file" in box.darkroom("check").stderr


def test_a_source_waits_for_a_rule_that_sees_it_through_a_link(box: Box, small: Pixels) -> None:
    (box.folder / "in").mkdir()
    (box.folder / "link").symlink_to("in")
    config = (box.folder / "config.yaml").read_text().rstrip() + "\n    source: delete\n"
    second = "  - {name: copy, watch: link, steps: [mosaic: {block: 16}], output: 'copy/{name}'}\n"
    box.write_config(config + second)
    names = [f"{index}.png" for index in range(8)]
    for index, name in enumerate(names):
        box.drop(f"in/{name}", np.roll(small, index, axis=0))
    box.once()
    assert box.files("in") == [] and box.files() == names == box.files("copy")
    assert "rule mosaic takes the same files, such as link/x.jpg" in box.darkroom("check").stderr


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system at /dev/shm")
def test_source_moves_to_another_file_system(box: Box, small: Pixels) -> None:
    if os.stat("/dev/shm").st_dev == os.stat(box.folder).st_dev:
        pytest.skip("/dev/shm is on the same file system as the test folder")
    there = Path("/dev/shm") / f"darkroom-test-{os.getpid()}"
    try:
        box.rules(f"source: {{move: {{to: '{there}/{{name}}'}}}}")
        content = box.drop("in/cat.png", small).read_bytes()
        box.once()
        assert box.files("in") == [] and (there / "cat.png").read_bytes() == content
        assert [path.name for path in there.iterdir()] == ["cat.png"]
    finally:
        shutil.rmtree(there, ignore_errors=True)


def test_transparency_into_a_format_without_it_is_refused(box: Box, small: Pixels) -> None:
    from PIL import Image

    box.rules("output: out/{stem}.jpg")
    picture = Image.fromarray(np.dstack([small, np.full(small.shape[:2], 128, np.uint8)]))
    (box.folder / "in").mkdir()
    picture.save(box.folder / "in/cat.png")
    box.once(check=1)
    assert box.files() == ["cat.png.error.txt"]


def test_two_sources_for_one_name_are_not_both_deleted(box: Box, small: Pixels) -> None:
    box.rules("output: out/{stem}.png\nsource: delete")
    box.drop("in/a/x.png", small)
    box.drop("in/b/x.png", small[::-1].copy())
    box.once(check=1)
    assert len(box.files("in")) == 1 and "on_conflict: rename" in box.jobs("--state", "failed")[0]["reason"]


def test_watched_folder_reached_by_a_link(box: Box, small: Pixels) -> None:
    """Own outputs are known by what they are, not by the path they are seen under."""
    (box.folder / "in").mkdir()
    (box.folder / "link").symlink_to("in")
    text = (box.folder / "config.yaml").read_text().replace("watch: in", "watch: link")
    box.write_config(text.replace("output: out/{dir}/{stem}", "output: in/{dir}/{stem}_m"))
    box.drop("in/cat.png", small)
    for _ in range(3):
        box.once()
    assert box.files("in") == ["cat.png", "cat_m.png"]


def test_an_original_behind_a_linked_output_folder_is_kept(box: Box, small: Pixels) -> None:
    box.rules("output: out/{stem}.png")
    original = box.drop("in/a.png", small)
    (box.folder / "out").symlink_to("in")
    box.drop("in/a.jpg", small)
    before = original.read_bytes()
    box.once(check=1)
    assert original.read_bytes() == before


def test_retry_runs_although_the_output_stands(box: Box, small: Pixels) -> None:
    path = box.drop("in/cat.png", small)
    box.once()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    box.once()
    skipped = box.jobs("--state", "skipped")[0]["id"]
    box.darkroom("retry", str(skipped))
    box.once()
    assert box.jobs()[0]["state"] == "done"
