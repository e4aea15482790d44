"""`inputs:` of a rule: what it becomes, and every way to get it wrong, with its place."""

# ruff: noqa: E501 - the lines are compared whole, and read best whole

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.errors import ConfigError
from daemon.groups.patterns import Pattern
from daemon.model import Rule
from tests import pairs

NEAR_AND_FAR = 'near: "{key}.near.*"\n      far: "{key}.far.*"'


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs.known(monkeypatch)


def text(
    inputs: str | None = NEAR_AND_FAR, *, steps: str = "pair", output: str = "out/{key}.png", more: str = ""
) -> str:
    """A configuration; the inputs start on line 7, the output stands on line 4."""
    under = "" if inputs is None else f"    inputs:\n      {inputs}\n"
    return (
        f'version: 1\nrules:\n  - name: a\n    output: "{output}"\n    steps: {steps}\n{under}    watch: in\n'
        + "".join(f"    {line}\n" for line in more.splitlines())
    )


def loaded(folder: Path, content: str) -> Rule:
    path = folder / "config.yaml"
    path.write_text(content)
    return load_config(path).rules[0]


def faults(folder: Path, content: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, content)
    return [line.removeprefix(f"{folder}/config.yaml:") for line in caught.value.faults]


def test_patterns_and_fixed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    near, far = loaded(tmp_path, text('near: "{key}/near.*"\n      far: styles/[1].png')).inputs
    assert (near.role, near.pattern, near.fixed) == ("near", Pattern.parse("{key}/near.*"), None)
    assert (far.role, far.pattern, far.fixed) == ("far", None, tmp_path / "styles/[1].png")
    for written, path in (("~/a.png", "/home/somebody/a.png"), ("/srv/a.png", "/srv/a.png")):
        assert loaded(tmp_path, text(f'near: "{{key}}.*"\n      far: {written}')).inputs[1].fixed == Path(path)


def test_a_folder_is_no_fixed_file(tmp_path: Path) -> None:
    """One that is not there yet may come; one that is a folder never will be a file."""
    content = text('near: "{key}.*"\n      far: styles')
    assert loaded(tmp_path, content).inputs[1].fixed == tmp_path / "styles"
    (tmp_path / "styles").mkdir()
    (told,) = faults(tmp_path, content)
    assert "is a folder and no file" in told and re.match(r"\d+:\d+: rules\[0\]\.inputs\.far: ", told), told


def test_a_task_of_one_picture_needs_none_and_may_have_them(tmp_path: Path) -> None:
    assert loaded(tmp_path, text(None, steps="alone", output="out/{stem}.{ext}")).inputs == ()
    (only,) = loaded(tmp_path, text('picture: "{key}.raw.*"', steps="alone")).inputs
    assert only.pattern == Pattern.parse("{key}.raw.*")


def test_where_files_are_moved_to_they_have_their_own_names(tmp_path: Path) -> None:
    for to in ("done/{dir}/{name}", "done/{key}/{stem}.{ext}"):
        rule = loaded(tmp_path, text(more=f'source: {{move: {{to: "{to}"}}}}'))
        assert rule.source.to is not None and rule.source.to.text == to


INPUTS_FAULTS = {
    'near: "{key}.near.*"': [
        '7:7: rules[0].inputs: pair takes near and far, and far is missing; add far: "{key}.far.*"'
    ],
    NEAR_AND_FAR + "\n      fra: x.png": [
        "9:7: rules[0].inputs.fra: pair has no input 'fra'; did you mean far? known: near, far"
    ],
    "near: a.png\n      far: b.png": [
        '7:7: rules[0].inputs: none of them has {key}, so no dropped picture would start a job; write one with it, as in near: "{key}.near.*"'
    ],
    'near: "{key}.A"\n      far: "{KEY}.a"': [
        "8:12: rules[0].inputs.far: {KEY} is not a field of a pattern; write {key}"
    ],
    'near: "{key}.A"\n      far: "{key}.a"': [
        "8:12: rules[0].inputs.far: near has the same pattern; give each its own: a file has one role"
    ],
    'near: "{key}{key}"\n      far: "../{key}"': [
        "7:13: rules[0].inputs.near: {key} stands in it more than once; write it once, and * for what else may differ",
        '8:12: rules[0].inputs.far: "." or ".." is no name that a file or folder can have; write one such as "{key}.near.*"',
    ],
    "near: {key}\n      far: 5": [
        '7:13: rules[0].inputs.near: without quotes, text that starts with { is a mapping to YAML; write "{key}.near.*"',
        '8:12: rules[0].inputs.far: 5 is not text; write a pattern such as "{key}.far.*", or a file',
    ],
    'near: ""\n      far: "/in/{key}"': [
        '7:13: rules[0].inputs.near: the pattern is empty; write one such as "{key}.near.*", or name a file',
        '8:12: rules[0].inputs.far: a pattern with {key} is held against paths below the watched folder; write one such as "{key}.near.*"',
    ],
    'near: "{key}.*"\n      far: "*.png"': [
        "8:12: rules[0].inputs.far: '*.png' has a wildcard and no {key}: a file without {key} is one and the same for every group; write {key} into it, or name the file in full"
    ],
    'near: "{key}.*"\n      far: styles/': [
        "8:12: rules[0].inputs.far: the path names a folder and no file; name the file in it"
    ],
    "[near, far]": [
        "7:7: rules[0].inputs: ['near', 'far'] is not a mapping; write one line for each role, as in near: \"{key}.near.*\""
    ],
}


@pytest.mark.parametrize("inputs", INPUTS_FAULTS)
def test_faults_in_inputs(tmp_path: Path, inputs: str) -> None:
    assert faults(tmp_path, text(inputs)) == INPUTS_FAULTS[inputs]


RULE_FAULTS = [
    (
        text(None),
        '3:5: rules[0].inputs: it is missing, and pair takes near and far; add inputs: {near: "{key}.near.*", far: "{key}.far.*"}',
    ),
    (text(steps="grayscale"), "6:5: rules[0].inputs: no step of the rule takes several pictures; remove inputs"),
    (
        text(output="out/{stem}.png"),
        "4:13: rules[0].output: {stem} is of one file, and a group has several; use {key}",
    ),
    (
        text(output="out/{key}.{ext}"),
        "4:13: rules[0].output: {ext} is of one file, and a group has several; use {key}",
    ),
    (
        text(output="out/{dir}/x.png"),
        "4:13: rules[0].output: every picture would be written to the same file; put {stem} or {name} into it, or {key} if the rule has inputs",
    ),
    (
        text(output="out/{key}.gif"),
        "4:13: rules[0].output: the file name does not end like a picture that darkroom writes; end it with .{ext}, .jpg, .jpeg, .png, .webp, .tif, .tiff, .bmp",
    ),
    (
        text(None, steps="alone"),
        "4:13: rules[0].output: {key} is of rules with inputs, and this one has none; use {stem}",
    ),
    (
        text(None, steps="grayscale", output="out/{stem}.png", more='source: {move: {to: "x/{key}/{name}"}}'),
        "7:25: rules[0].source.move.to: {key} is of rules with inputs, and this one has none; use {stem}",
    ),
    (
        text('near: "{key}/near.*"\n      far: a.png', more="recursive: false"),
        "7:13: rules[0].inputs.near: it leads into subfolders, and the rule has recursive: false; write a pattern without a slash, or recursive: true",
    ),
]


@pytest.mark.parametrize(("content", "line"), RULE_FAULTS)
def test_faults_of_the_rule(tmp_path: Path, content: str, line: str) -> None:
    assert faults(tmp_path, content) == [line]


def test_a_rule_that_could_not_be_read_is_not_blamed_twice(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, text(steps="piar"))
    assert "no step is called 'piar'" in line
    (line,) = faults(tmp_path, text("{}", steps="piar"))
    assert "no step is called 'piar'" in line


def test_a_missing_output_is_asked_for_in_the_right_words(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, text().replace('    output: "out/{key}.png"\n', ""))
    assert line.endswith("rules[0].output: it is missing; add output: outbox/{key}.png")


PRIOR = "name: a, watch: in, output: 'out/{key}.png', steps: [deep_image_prior: {job: JOB}],\n inputs: "
MASK = 'mask: "{key}.mask.*"'
PRIOR_FAULTS = {
    ("denoise", f'{{picture: "{{key}}.*", {MASK}}}'): "3:31: rules[0].inputs.mask: mask goes with job: inpaint;"
    " remove it, or write job: inpaint",
    ("inpaint", f"{{{MASK}}}"): "3:10: rules[0].inputs: deep_image_prior takes picture, and picture is missing;"
    ' add picture: "{key}.*"',
    ("inpaint", '{picture: "{key}.*", msk: "{key}.mask.*"}'): "3:31: rules[0].inputs.msk: deep_image_prior has no"
    " input 'msk'; did you mean mask? known: picture, mask",
}


@pytest.mark.parametrize(("job", "given"), PRIOR_FAULTS)
def test_a_role_that_goes_with_a_parameter(tmp_path: Path, job: str, given: str) -> None:
    rule = PRIOR.replace("JOB", job)
    assert faults(tmp_path, f"version: 1\nrules: [{{{rule}{given}}}]") == [PRIOR_FAULTS[job, given]]


def test_a_mask_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for given in (f'inputs: {{picture: "{{key}}.*", {MASK}}}', ""):
        output = "out/{key}.png" if given else "out/{stem}.png"
        head = f"name: a, watch: in, output: '{output}', steps: [deep_image_prior: {{job: inpaint}}]"
        path.write_text(f"version: 1\nrules: [{{{head}, {given}}}]")
        (rule,) = load_config(path).rules
        assert [each.role for each in rule.inputs] == (["picture", "mask"] if given else [])
