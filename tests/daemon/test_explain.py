"""`check --explain FILE`: what each rule would do with a file, and why; nothing is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import pairs
from tests.box import Box, Pixels
from tests.daemon.test_dry_run import everything

TWO = """version: 1
settle: 100ms
rules:
  - {name: mosaic, watch: in, recursive: false, steps: [mosaic: {block: 16}], output: "out/{dir}/{stem}.png"}
  - {name: gray, watch: [in, in2], match: ["IMG*"], when: {color: false}, steps: [grayscale], output: "gray/{name}"}
"""


def explained(box: Box, *names: str) -> list[str]:
    before = everything(box.folder)
    said = box.darkroom("check", "--explain", *names).stdout
    assert everything(box.folder) == before
    return said.replace(f"{box.folder}/", "").splitlines()


def test_each_rule_gives_its_first_reason(box: Box, small: Pixels) -> None:
    box.write_config(TWO)
    picture = box.drop("in/a.png", small)
    box.drop("in/sub/IMG.png", small)
    box.drop("elsewhere.png", small)
    size = f"{picture.stat().st_size:,} bytes"
    assert explained(box, "in/a.png", "in/sub/IMG.png", "elsewhere.png", "in/.a.png") == [
        f"in/a.png: {size}",
        "  mosaic: takes it → out/a.png",
        "    the source stays",
        "  gray: no: takes only IMG*",
        f"in/sub/IMG.png: {size}",
        "  mosaic: no: takes nothing from subfolders (recursive: false)",
        "  gray: takes it and skips it: in colour, and the rule wants color: false",
        f"elsewhere.png: {size}",
        "  mosaic: no: it does not lie in in",
        "  gray: no: it does not lie in in, in2",
        "in/.a.png: there is no such file; what depends on its content is not known",
        *(
            f"  {rule}: no: '.a.png' is a name never taken"
            " (.*, *.part, *.crdownload, *.tmp, *~, .~lock*, Thumbs.db, desktop.ini, @eaDir)"
            for rule in ("mosaic", "gray")
        ),
    ]


def test_rules_that_watch_elsewhere_are_told_in_one_line(box: Box, small: Pixels) -> None:
    box.write_config(TWO.replace("watch: [in, in2], match", "watch: in2, match"))
    box.drop("in/a.png", small)
    said = explained(box, "in/a.png")
    assert said[-1] == "  no other rule: it does not lie in the folders of gray" and len(said) == 4


def test_a_file_that_is_not_there(box: Box) -> None:
    box.rules("when: {min_width: 100}\nsource: delete\noutput: out/{stem}-{width}.png")
    assert explained(box, "in/new.jpg")[1:] == [
        "  mosaic: takes it → out/new-{width}.png",
        "    if it meets `when`, which is not known without it",
        "    its size is known once it is computed",
        "    then the source is deleted",
    ]


def test_the_size_of_the_result_where_the_steps_give_it(box: Box) -> None:
    box.rules("output: out/{stem}-{width}.png", steps="[resize: {width: 32}]")
    assert explained(box, "in/new.jpg")[1] == "  mosaic: takes it → out/new-32.png"


def test_the_size_of_the_result_where_it_is_that_of_the_picture(box: Box, small: Pixels) -> None:
    box.rules("output: out/{stem}-{width}x{height}.png")
    box.drop("in/a.png", small)
    assert explained(box, "in/a.png")[1] == "  mosaic: takes it → out/a-128x96.png"


@pytest.mark.parametrize(
    ("conflict", "line"),
    [
        ("overwrite", ["  mosaic: takes it → out/a.png", "    replaces a file that is not darkroom's"]),
        ("rename", ["  mosaic: takes it → out/a-1.png", "    out/a.png is taken"]),
        ("skip", ["  mosaic: takes it and skips it: out/a.png exists and is not from this source (on_conflict: skip)"]),
    ],
)
def test_a_name_that_is_taken(box: Box, small: Pixels, conflict: str, line: list[str]) -> None:
    box.rules(f"on_conflict: {conflict}")
    box.drop("in/a.png", small)
    box.drop("out/a.png", small)
    assert explained(box, "in/a.png")[1 : 1 + len(line)] == line


def test_what_the_ledger_knows(box: Box, small: Pixels) -> None:
    picture = box.drop("in/a.png", small)
    box.once()
    (_, line) = explained(box, "in/a.png")
    assert line.startswith("  mosaic: takes it; done already: job 1 is done, out/a.png (published: 128×96 png")
    assert explained(box, "out/a.png") == [
        "out/a.png: written by darkroom, from in/a.png (job 1); never taken as input"
    ]
    picture.write_bytes(box.drop("b.png", small[::-1].copy()).read_bytes())
    os.utime(picture, (1, 1))
    said = explained(box, "in/a.png")
    assert said[1:4] == [
        "  mosaic: takes it → out/a.png",
        "    replaces its own earlier result",
        "    job 1 had another version: done",
    ]


def test_a_source_that_another_rule_takes_too(box: Box, small: Pixels) -> None:
    config = TWO.replace("recursive: false", 'source: {move: {to: "kept/{name}"}}')
    box.write_config(config.replace("{color: false}", "{min_width: 1}"))
    box.drop("in/IMG.png", small)
    assert explained(box, "in/IMG.png")[2] == "    then the source is moved to kept/IMG.png, once rule gray had it too"


def test_groups(box: Box, small: Pixels) -> None:
    pairs.furnish(box)
    box.drop("in/castle.near.jpg", small)
    assert explained(box, "in/castle.near.jpg")[1:] == [
        "  pairs: takes it as near of group castle, which waits for far: a file like castle.far.*"
    ]
    assert explained(box, "in/castle.far.png")[1:] == [
        "  pairs: takes it as far of group castle → out/castle.png",
        "    the source stays",
    ]
    box.drop("in/castle.far.png", small)
    assert explained(box, "in/castle.near.jpg")[1] == "  pairs: takes it as near of group castle → out/castle.png"
    (line,) = explained(box, "in/castle.png")[1:]
    assert line.startswith("  pairs: no: makes groups of {key}.near.* (near), {key}.far.* (far); this is none of them")


def test_a_folder_behind_a_link(box: Box, small: Pixels, tmp_path_factory: pytest.TempPathFactory) -> None:
    (box.folder / "in").mkdir()
    (box.folder / "in/link").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    box.drop("in/link/a.png", small)
    assert explained(box, "in/link/a.png")[1:] == [
        "  mosaic: no: in/link is a link to a folder, and those are not followed"
    ]


def why(box: Box, name: str) -> list[str]:
    return box.darkroom("why", name, check=None).stdout.replace(f"{box.folder}/", "").splitlines()


def test_why_says_the_same(box: Box, small: Pixels) -> None:
    """Of what darkroom made and somebody moved, of a report, of a file behind a link, of what is no file."""
    box.write_config(
        "version: 1\nsettle: 100ms\nrules:\n"
        "  - {name: mosaic, watch: in, steps: [mosaic: {block: 16}], output: 'out/{stem}.{ext}'}\n"
        "  - {name: report, watch: in2, steps: [psnr], report: in/made}\n"
    )
    box.drop("in/a.png", small)
    box.drop("in/b.png", small)
    box.once()
    (box.folder / "out/a.png").rename(box.folder / "in/moved.png")
    (box.folder / "out/b.png").replace(box.folder / "in/b.png")
    box.drop("in/made/report.html", b"<html>")
    box.drop("elsewhere/c.png", small)
    (box.folder / "in/link").symlink_to(box.folder / "elsewhere")
    (box.folder / "in/nowhere.png").symlink_to(box.folder / "gone.png")
    os.mkfifo(box.folder / "in/pipe.png")
    (box.folder / "in/folder.png").mkdir()
    behind = "in/link is a link to a folder, and those are not followed"
    told = {
        "in/moved.png": ("written by darkroom; never taken as input", "It is written by darkroom; never taken"),
        "in/b.png": ("written by darkroom; never taken as input", "has changed since, and is not taken: written by"),
        "in/made/report.html": ("a report of darkroom; never taken as input", "It is a report of darkroom; never"),
        "in/link/c.png": (f"mosaic: no: {behind}", f"rule mosaic: {behind}"),
        "in/nowhere.png": ("mosaic: no: not a file", "It is not a file"),
        "in/pipe.png": ("mosaic: no: not a file", "It is not a file"),
        "in/folder.png": ("mosaic: no: not a file", "It is not a file"),
    }
    explanation = "\n".join(explained(box, *told))
    for name, (by_explain, by_why) in told.items():
        said = "\n".join(why(box, name))
        assert by_explain in explanation.partition(f"{name}: ")[2].split("\nin/")[0], explanation
        assert by_why in said and "would take it" not in said and "takes the new content" not in said, said


def test_a_folder_in_another_that_takes_nothing_from_subfolders(box: Box, small: Pixels) -> None:
    box.rules("recursive: false")
    config = (box.folder / "config.yaml").read_text()
    box.write_config(config.replace("watch: in", "watch: [in, in/sub]"))
    box.drop("in/sub/x.png", small)
    assert explained(box, "in/sub/x.png")[1] == "  mosaic: takes it → out/x.png"
    assert why(box, "in/sub/x.png")[1:] == ["  rule mosaic: would take it, but no daemon runs: `darkroom run`"]


def test_a_watched_folder_that_is_a_link(box: Box, small: Pixels) -> None:
    """A file may be named by what the link leads to."""
    box.drop("real/inbox/sub/a.png", small)
    (box.folder / "in").symlink_to("real/inbox")
    for name in ("real/inbox/sub/a.png", "in/sub/a.png"):
        assert explained(box, name)[1] == "  mosaic: takes it → out/sub/a.png"
    assert "would take it" in why(box, "real/inbox/sub/a.png")[1]
    box.once()
    assert "done already: job 1 is done" in explained(box, "real/inbox/sub/a.png")[1]
    assert why(box, "real/inbox/sub/a.png")[0] == "in/sub/a.png: job 1, done."


def test_a_broken_file(box: Box) -> None:
    box.drop("in/a.png", b"broken")
    assert "  mosaic: takes it and fails: this is a text, not a picture" in explained(box, "in/a.png")[1]


def test_faults_come_first(box: Box) -> None:
    Path(box.folder, "config.yaml").write_text("version: 2\n")
    assert "is not a version" in box.darkroom("check", "--explain", "x.png", check=2).stderr
