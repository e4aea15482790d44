"""Files that work and are doubtful, and the exact lines that `darkroom check` prints about them."""

# ruff: noqa: E501 - the lines are compared whole, and read best whole

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.config import check_config
from daemon.config.globs import Paths, common, matching
from daemon.intake import scan
from daemon.intake.match import ignored, matches
from tests.box import REPOSITORY, Box

LINE = re.compile(r"[^\n]+:\d+:\d+: (yaml|file|[^\s:]+): (warning: )?[^\n;]+; [^\n]+")
A = "name: a, watch: in, steps: [grayscale]"
B = "name: b, watch: in, steps: [grayscale]"
OUT, OUT_B = "output: 'out/{dir}/{name}'", "output: 'out/b/{dir}/{name}'"


def found(folder: Path, *rules: str, head: str = "") -> list[str]:
    """The findings about a file with these rules, without the places in front."""
    path = folder / "config.yaml"
    path.write_text(f"version: 1\n{head}\nrules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules))
    lines = [each.text("config.yaml") for each in check_config(path)[1]]
    for line in lines:
        assert LINE.fullmatch(line), line
    return [line.split(": ", 1)[1].replace(str(folder), "HERE") for line in lines]


def test_the_shipped_file_gives_none() -> None:
    assert check_config(REPOSITORY / "config.yaml")[1] == []


SOUND: dict[str, Sequence[str]] = {
    "one rule": [f"{A}, {OUT}"],
    "a rule for each ending": [f"{A}, match: ['*.jpg'], {OUT}", f"{B}, match: ['*.PNG'], {OUT_B}"],
    "conditions that sort": [f"{A}, when: {{color: true}}, {OUT}", f"{B}, when: {{color: false}}, {OUT_B}"],
    "sizes that sort": [f"{A}, when: {{max_width: 99}}, {OUT}", f"{B}, when: {{min_width: 100}}, {OUT_B}"],
    "folders side by side": [f"{A}, {OUT}", f"{B.replace('in,', 'in2,')}, {OUT_B}"],
    "a folder that is not entered": [f"{A}, recursive: false, {OUT}", f"{B.replace('in,', 'in/b,')}, {OUT_B}"],
    "names that are told apart": [f"{A}, output: 'out/{{dir}}/{{stem}}-{{ext}}.png'"],
    "one ending": [f"{A}, match: ['*.jpg'], output: 'out/{{dir}}/{{stem}}.png'"],
    "endings of other stems": [f"{A}, match: ['IMG*.jpg', 'DSC*.png'], output: 'out/{{dir}}/{{stem}}.png'"],
    "new names": [f"{A}, on_conflict: rename, output: 'out/{{stem}}.png'"],
    "no subfolders": [f"{A}, recursive: false, output: 'out/{{name}}'"],
    "names by rule": [
        f"{A}, output: 'out/{{rule}}/{{dir}}/{{name}}'",
        "name: b, watch: in2, steps: [grayscale], output: 'out/{rule}/{dir}/{name}'",
    ],
    "sizes that the steps give": [
        "name: a, watch: in, steps: [resize: {size: 32}], output: 'out/{dir}/{stem}-{width}.{ext}'",
        "name: b, watch: in2, steps: [resize: {width: 64}, grayscale], output: 'out/{dir}/{stem}-{width}.{ext}'",
        "name: c, watch: in3, steps: [grayscale], output: 'out/{dir}/{stem}-{width}.{ext}'",
    ],
    "a watched folder above an output that it does not see": [f"{A}, recursive: false, output: 'in/out/{{name}}'"],
    "an output behind a name that is never taken": [f"{A}, output: 'in/.out/{{dir}}/{{name}}'"],
}


@pytest.mark.parametrize("rules", SOUND.values(), ids=SOUND)
def test_no_warning_is_about_what_cannot_happen(rules: Sequence[str], tmp_path: Path) -> None:
    assert found(tmp_path, *rules) == []


CALM = "that is well if each is to make its own result; else narrow `match`, or remove a rule"
KEEP = "keep the sources, or narrow `match`"
LATER = "and the later one replaces the earlier"
CHAIN = "it takes nothing that darkroom wrote: for a chain, give one rule the steps of both"
DOUBTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "the same folder": (
        [f"{A}, {OUT}", f"{B}, {OUT_B}"],
        [f"rules[1].watch: warning: rule a takes the same files, such as in/x.jpg; {CALM}"],
    ),
    "a folder in the other": (
        [f"{A}, match: ['*.jpg'], {OUT}", f"{B.replace('in,', 'in/raw,')}, match: ['IMG*'], {OUT_B}"],
        [f"rules[1].watch: warning: rule a takes the same files, such as in/raw/img.jpg; {CALM}"],
    ),
    "several": (
        [f"{A}, {OUT}", f"{B}, {OUT_B}", "name: c, watch: in, steps: [grayscale], output: 'out/c/{dir}/{name}'"],
        [
            f"rules[1].watch: warning: rule a takes the same files, such as in/x.jpg; {CALM}",
            f"rules[2].watch: warning: rules a, b take the same files, such as in/x.jpg; {CALM}",
        ],
    ),
    "and one deletes": (
        [f"{A}, source: delete, {OUT}", f"{B}, {OUT_B}"],
        [
            f"rules[1].watch: warning: rule a takes the same files, such as in/x.jpg, and rule a deletes its sources: a picture on which this one failed is gone all the same; {KEEP}"
        ],
    ),
    "and this one moves": (
        [f"{A}, {OUT}", f"{B}, {OUT_B}, source: {{move: {{to: 'done/{{dir}}/{{name}}'}}}}"],
        [
            f"rules[1].watch: warning: rule a takes the same files, such as in/x.jpg, and this one moves its sources: a picture on which rule a failed is gone all the same; {KEEP}"
        ],
    ),
    "the same files to the same place": (
        [f"{A}, {OUT}", f"{B}, {OUT}"],
        [
            f"rules[1].output: warning: x.jpg of rule a and one of this rule become the same file, {LATER}; put {{rule}} into it, or name another folder"
        ],
    ),
    "other files to the same place": (
        [
            f"{A}, match: ['*.jpg'], {OUT}",
            "name: b, watch: in2, match: ['*.png'], steps: [grayscale], output: 'out/{dir}/{stem}.jpg'",
        ],
        [
            f"rules[1].output: warning: x.jpg of rule a and one of this rule become the same file, {LATER}; put {{rule}} into it, or name another folder"
        ],
    ),
    "two endings": (
        [f"{A}, output: 'out/{{dir}}/{{stem}}.png'"],
        [
            f"rules[0].output: warning: in/x.jpg and in/x.png both become out/x.png, {LATER}; put {{name}} or {{ext}} into it, or write on_conflict: rename"
        ],
    ),
    "sizes that only the picture gives": (
        [f"{A.replace('grayscale', 'resize: {height: 9}')}, output: 'out/{{dir}}/{{stem}}-{{width}}x{{height}}.png'"],
        [
            f"rules[0].output: warning: in/x.jpg and in/x.png both become out/x-{{width}}x9.png, {LATER}; put {{name}} or {{ext}} into it, or write on_conflict: rename"
        ],
    ),
    "two endings of stems in common": (
        [f"{A}, match: ['IMG*.jpg', '*7.png'], output: 'out/{{dir}}/{{stem}}.png'"],
        [
            f"rules[0].output: warning: in/img7.jpg and in/img7.png both become out/img7.png, {LATER}; put {{name}} or {{ext}} into it, or write on_conflict: rename"
        ],
    ),
    "subfolders": (
        [f"{A}, on_conflict: skip, output: 'out/{{name}}'"],
        [
            "rules[0].output: warning: in/x/x.jpg and in/y/x.jpg both become out/x.jpg, and the later one is skipped; put {dir} into it, or write on_conflict: rename"
        ],
    ),
    "two folders": (
        ["name: a, watch: [in, in2], source: delete, steps: [grayscale], output: 'out/{dir}/{name}'"],
        [
            "rules[0].output: warning: in/x.jpg and in2/x.jpg both become out/x.jpg, and the later one fails; give each folder a rule of its own, or write on_conflict: rename"
        ],
    ),
    "an output in the watched folder": (
        [f"{A}, output: 'in/made/{{dir}}/{{name}}'"],
        [
            "rules[0].output: warning: in/made lies in a folder that the rule watches; that is safe, since darkroom never takes what it wrote; a folder elsewhere is clearer"
        ],
    ),
    "an output in the folder of another": (
        [f"{A}, output: 'in2/{{dir}}/{{name}}'", f"{B.replace('in,', 'in2,')}, {OUT}"],
        [f"rules[0].output: warning: in2 lies in a folder that rule b watches; {CHAIN}"],
    ),
    "patterns that match nothing": (
        [f"{A}, match: ['*.jpg', '*.TMP'], {OUT}"],
        [
            "rules[0].match[1]: warning: no file is taken by *.TMP; write another pattern: .*, *.part, *.crdownload, *.tmp, *~, .~lock*, Thumbs.db, desktop.ini, @eaDir are never taken, and no name holds what this one wants"
        ],
    ),
    "a rule that takes nothing": (
        [f"{A}, match: ['raw/*.png'], recursive: false, {OUT}"],
        [
            "rules[0].match: warning: the rule takes no file at all; it leads into subfolders: write recursive: true, or watch the subfolder"
        ],
    ),
    "a role that nothing can have": (
        [
            "name: h, watch: in, inputs: {near: '{key}.near.*', far: '{key}.far.gif'}, steps: [hybrid], output: 'out/{dir}/{key}.png'"
        ],
        [
            "rules[0].inputs.far: warning: no file can be the far of a group; widen `match`, which has to let it through too"
        ],
    ),
    "groups of two folders": (
        [
            "name: h, watch: in, inputs: {near: '{key}.near.*', far: '{key}.far.*'}, steps: [hybrid], output: 'out/{key}.png'"
        ],
        [
            f"rules[0].output: warning: in/x/x and in/y/x both become out/x.png, {LATER}; put {{dir}} into it, or write on_conflict: rename"
        ],
    ),
    "sources that stay": (
        [f"{A}, source: delete, on_conflict: skip, {OUT}"],
        [
            "rules[0].on_conflict: warning: a picture that is skipped, since its output's name is taken, is not deleted and stays; write rename, or see to what stays with `darkroom jobs`"
        ],
    ),
    "a folder elsewhere": (
        [f"{A.replace('in,', '/tmp/no-such-folder/pictures,')}, {OUT}"],
        [
            "rules[0].watch: warning: /tmp/no-such-folder/pictures does not exist; darkroom makes it; see to the spelling, and that its disk is mounted"
        ],
    ),
    "a fixed file that is not there": (
        [
            "name: s, watch: in, inputs: {content: '{key}.*', style: nihgt.jpg}, steps: [style_transfer],"
            " output: 'out/{dir}/{key}.png'"
        ],
        [
            "rules[0].inputs.style: warning: HERE/nihgt.jpg is not there; every group waits until it is;"
            " see to the spelling"
        ],
    ),
    "a file for a folder": (
        [f"{A.replace('in,', 'config.yaml,')}, {OUT}"],
        ["rules[0].watch: warning: HERE/config.yaml is a file and no folder; name a folder, or move the file away"],
    ),
}


@pytest.mark.parametrize(("rules", "lines"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_doubtful_is_told_with_an_example(rules: Sequence[str], lines: Sequence[str], tmp_path: Path) -> None:
    assert found(tmp_path, *rules) == list(lines)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and make everything")
def test_folders_that_this_user_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    said = found(tmp_path, f"{A.replace('in,', 'shut,')}, {OUT}", f"{B.replace('in,', 'shut/in,')}, {OUT_B}")
    assert "this user cannot read HERE/shut" in said[0] and "cannot make it in HERE/shut" in said[1]


def test_a_state_dir_on_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "file_system_of", lambda folder: "nfs4")
    assert [line.partition(";")[0] for line in found(tmp_path, f"{A}, {OUT}")] == [
        "state_dir: warning: HERE/var lies on a network share, where the ledger's locks and its log are not to be trusted"
    ]


def test_warnings_stand_beside_faults(tmp_path: Path) -> None:
    said = found(tmp_path, f"{A}, output: 'out/{{name}}'", f"{B}, recursive: 1, {OUT_B}")
    assert [line.split(": ")[0] for line in said] == ["rules[0].output", "rules[1].recursive"]
    assert "warning" in said[0] and "warning" not in said[1]


NAMES = [
    "a.jpg",
    "A.JPG",
    "img_7.png",
    "x/a.jpg",
    "raw/a.png",
    "raw/x/b.png",
    ".a.jpg",
    "a.tmp",
    "x/.y/a.jpg",
    "[a].jpg",
    "b.jpeg",
]
GLOBS = [
    "*.jpg",
    "*",
    "a*",
    "IMG_?.*",
    "raw/*.png",
    "[a-c]*",
    "[!a]*.jpg",
    "*/*.jpg",
    "*.tmp",
    "?.jp*g",
    "[[]*",
    "*a*a*",
]


@pytest.mark.parametrize("one", GLOBS)
@pytest.mark.parametrize("other", GLOBS)
def test_what_patterns_have_in_common_is_what_the_daemon_takes(one: str, other: str) -> None:
    name = common(*(Paths((matching((glob,)),)) for glob in (one, other)))
    both = [each for each in NAMES if matches([one], each) and matches([other], each)]
    taken = [each for each in both if not any(map(ignored, each.split("/")))]
    if name is None:
        assert not taken
    else:
        assert matches([one], name) and matches([other], name) and not any(map(ignored, name.split("/")))


def test_check_on_the_command_line(box: Box) -> None:
    box.rules("output: out/{name}")
    done = box.darkroom("check")
    assert done.stdout == "config.yaml: 1 rule, no faults, 1 warning\n"
    assert re.fullmatch(r"config\.yaml:7:13: rules\[0\]\.output: warning: [^\n]*\n", done.stderr)
    assert box.darkroom("check", "--strict", check=2).stderr == done.stderr
    explained = box.darkroom("check", "--strict", "--explain", "in/a.png", check=2)
    assert explained.stderr == done.stderr and "mosaic: takes it" in explained.stdout
    box.rules()
    assert box.darkroom("check", "--strict").stdout == "config.yaml: 1 rule, no faults\n"
