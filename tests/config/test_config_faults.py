"""Bad files, and the exact lines that `darkroom check` would print about them."""

# ruff: noqa: E501 - the lines are compared whole, and read best whole

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from daemon.config import load_config, yaml_source
from daemon.errors import ConfigError

LINE = re.compile(r"[^\n]+:\d+:\d+: (yaml|file|[^\s:]+): [^\n;]+; [^\n]+")
RULE = "name: a, watch: in, steps: [grayscale], output: 'out/{stem}.png'"
RULES = f"rules: [{{{RULE}}}]"
KEYS = "known: name, watch, recursive, match, when, steps, inputs, report, output, encode, on_conflict, source, retries, preview, trace, on_failure, on_idle"


def faults(folder: Path, text: str | bytes, name: str = "config.yaml") -> list[str]:
    """The faults of a file with this content, without the folder in front of its name."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    for line in caught.value.faults:
        assert LINE.fullmatch(line), line
    return [line.removeprefix(f"{path}:") for line in caught.value.faults]


YAML_FAULTS = {
    "": "1:1: file: it is empty; start from the config.yaml that comes with darkroom",
    "# nothing yet\n": "1:1: file: it is empty; start from the config.yaml that comes with darkroom",
    "- a\n": "1:1: file: it is not a mapping; write key: value, as in version: 1",
    "version: 1\n\tsettle: 1s\n": "2:1: yaml: a tab stands here; YAML is indented with spaces",
    "version: 1\n settle: 1s\n": "2:8: yaml: a colon where no key can stand; indent like the line above, or use quotes",
    "version: [1, 2\n": "1:10: yaml: a bracket is opened and not closed, or a comma is missing; close it with } or ]",
    "version: 'one\nrules: 1\n": "1:10: yaml: a quote is opened and not closed; close it with the same sign",
    "version: 1\n]\n": "2:1: yaml: a bracket is closed that was not opened; remove it",
    "output: {dir}/{stem}.png\n": '1:14: yaml: text follows a closing }; text that starts with { needs quotes: "{dir}/{stem}.{ext}"',
    "output: {stem}.png\n": '1:15: yaml: text follows a closing }; text that starts with { needs quotes: "{dir}/{stem}.{ext}"',
    "inputs: {near: {key}.near.*}\n": '1:21: yaml: text follows a closing }; text that starts with { needs quotes: "{dir}/{stem}.{ext}"',
    "version: {a: 1}}\n": "1:16: yaml: a bracket is closed that was not opened; remove it",
    "steps: [mosaic {block: 8}]\n": "1:16: yaml: a colon or a comma is missing before the {; write name: {key: value}",
    "match: [*.jpg]\n": '1:10: yaml: text that starts with * is an alias to YAML; put it in quotes: "*.jpg"',
    "match: *jpg\n": '1:8: yaml: the alias *jpg has no anchor above it; define &jpg, or write "*jpg" in quotes',
    "rules: &a [*a]\n": "1:12: yaml: the alias *a stands inside the value it repeats; write the value out",
    "version: 1\n---\nversion: 1\n": "2:1: yaml: a second document starts here; keep one document: remove `---`",
    "{version: 1}: 2\n": '1:1: yaml: a key must be plain text; put text that starts with { [ or * in "quotes"',
    "version: \x07\n": "1:10: yaml: the character U+0007 cannot stand in YAML; delete it, or save the file again as UTF-8 text",
}


@pytest.mark.parametrize("text", YAML_FAULTS)
def test_text_that_is_no_yaml(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == [YAML_FAULTS[text]]


VALUE_FAULTS = {
    f"version: 2\n{RULES}": "1:10: version: 2 is not a version of config.yaml that this darkroom reads; write version: 1",
    f"version: true\n{RULES}": "1:10: version: true is not a version of config.yaml that this darkroom reads; write version: 1",
    f"version: 1.0\n{RULES}": "1:10: version: 1.0 is not a version of config.yaml that this darkroom reads; write version: 1",
    RULES: "1:1: version: it is missing; add version: 1",
    "version: 1": "1:1: rules: it is missing; add rules: [{name: mosaic, ...}]",
    "version: 1\nrules: []": "2:8: rules: it is empty; write at least one",
    "version: 1\nrules:": '2:7: rules: it is empty, not a list; write ["one", "another"], or one line for each that starts with -',
    "version: 1\nrules:\n  one: {watch: in}": "3:3: rules: a mapping is not a list; begin each rule with -, as in - name: one",
    f"version: 1\non: 1\n{RULES}": "2:1: on: 'on' is not a key here; known: version, state_dir, runtime, tasks, log, metrics, settle, rescan, rules",
}
RUNTIME_FAULTS = {
    "device: gpu": "21: runtime.device: 'gpu' is not known; did you mean cpu? known: auto, cpu, cuda, tensorrt, tensorrt-rtx",
    "memory: 1000": "21: runtime.memory: 1000 is not a size; write 512MiB or 1GiB",
    "memory: 1MiB": "21: runtime.memory: '1MiB' is out of range; 16MiB to 16384GiB is possible",
    "workers: 0": "22: runtime.workers: 0 is out of range; give at least 1",
    "workers: 257": "22: runtime.workers: 257 is out of range; give at most 256",
    "workers: all": "22: runtime.workers: 'all' cannot stand here; write auto, or a whole number from 1 to 256, without quotes",
    "max_pixels: 0": "25: runtime.max_pixels: 0 is out of range; 1 to 10GP is possible",
    "max_pixels: 2K": "25: runtime.max_pixels: '2K' is not a picture size; write 200MP",
    "cores: 2": "13: runtime.cores: 'cores' is not a key here; did you mean workers? known: device, memory, workers, max_pixels",
}
RULE_FAULTS = {
    "wach: x": f"8: rules[0].wach: 'wach' is not a key here; did you mean watch? {KEYS}",
    "report: x": "16: rules[0].report: no step of the rule measures anything; add pool_upsample_psnr or psnr to steps,"
    " or remove report",
    "preview: 2s": "17: rules[0].preview: only a task runs long enough to be watched; remove preview, or see `darkroom operators` for tasks",
    "inputs: {}": "8: rules[0].inputs: no step of the rule takes several pictures; remove inputs",
    "recursive: 1": "19: rules[0].recursive: 1 is not true or false; write true or false, without quotes",
    "match: '*.jpg'": "15: rules[0].match: '*.jpg' is not a list; write [\"*.jpg\"]",
    "match: ['']": "16: rules[0].match[0]: it is empty; write some text",
    "when: {color: red}": "22: rules[0].when.color: 'red' is not true or false; write true or false, without quotes",
    "when: {max_width: 5, min_width: 6}": "26: rules[0].when.max_width: no picture fits: 5 is less than min_width, 6; give 6 or more",
    "encode: {jpeg_quality: 101}": "31: rules[0].encode.jpeg_quality: 101 is out of range; give at most 100",
    "encode: ": "16: rules[0].encode: it is empty, not a mapping; write {key: value}, or one line for each key: value",
    "on_conflict: replace": "21: rules[0].on_conflict: 'replace' is not known; did you mean rename? known: overwrite, rename, skip",
    "source: move": '16: rules[0].source: move needs a place to move to; write source: {move: {to: "originals/{dir}/{name}"}}',
    "source: [keep]": "16: rules[0].source: ['keep'] cannot stand here; write keep, delete, or {move: {to: \"originals/{dir}/{name}\"}}",
    "source: {move: {}}": "23: rules[0].source.move.to: it is missing; add to: originals/{dir}/{name}",
    "source: {move: {to: 'in/{dir}/{name}'}}": "28: rules[0].source.move.to: the source would be moved to where it is; name a folder other than the watched one",
    "source: {move: {to: 'out/{dir}/{stem}.png'}}": "28: rules[0].source.move.to: the source would be moved over the rule's own output; name another folder",
    "retries: 3.0": "17: rules[0].retries: 3.0 is not a whole number; write digits without quotes",
    "name: b": "8: rules[0].name: the key stands here a second time (first on line 2); keep one of the two",
}
REPLACED = {
    ("watch: in", "wach: in"): f"2:19: rules[0].wach: 'wach' is not a key here; did you mean watch? {KEYS}",
    ("output:", "ouput:"): f"2:50: rules[0].ouput: 'ouput' is not a key here; did you mean output? {KEYS}",
    (
        "name: a",
        "name: '..'",
    ): "2:16: rules[0].name: '..' is not a name; use letters, digits, _ . and -, with a letter or digit first",
    (
        "watch: in",
        "watch: [in, out, ./in]",
    ): "2:36: rules[0].watch[2]: the same folder is listed twice; remove one of the two",
    (
        "watch: in",
        "watch: [in/sub, in]",
    ): "2:35: rules[0].watch[1]: it and another folder of this rule lie in one another: pictures would be taken twice;"
    " remove the inner one, or write recursive: false",
    (
        "watch: in",
        "watch: var/in",
    ): "2:26: rules[0].watch: the folder lies inside state_dir, where darkroom keeps files of its own; watch another folder",
    ("watch: in", "watch: 5"): "2:26: rules[0].watch: 5 cannot stand here; write a folder, or a list of folders",
    ("watch: in", "watch: ''"): "2:26: rules[0].watch: the path is empty; name a folder",
    (
        "watch: in",
        "watch: ~nobody-here/in",
    ): "2:26: rules[0].watch: the home folder ~nobody-here is not known; write the whole path, or ./~nobody-here/in",
    (
        "[grayscale]",
        "[grayscal]",
    ): "2:38: rules[0].steps[0].grayscal: no step is called 'grayscal'; did you mean grayscale? known: deep_image_prior, gaussian_blur, grayscale, hybrid, mosaic, pool_upsample, pool_upsample_psnr, psnr, resize, style_transfer",
    ("[grayscale]", "[mosaic: {block: 0}]"): "2:54: rules[0].steps[0].mosaic.block: 0 is out of range; give 1–4096 px",
    (
        "[grayscale]",
        "[mosaic: {blok: 8}]",
    ): "2:47: rules[0].steps[0].mosaic.blok: mosaic has no parameter 'blok'; did you mean block? known: block, border, method",
    (
        "'out/{stem}.png'",
        "'in/{dir}/{stem}.{ext}'",
    ): "2:58: rules[0].output: the rule would overwrite its own source; name a folder other than the watched one",
    (
        "'out/{stem}.png'",
        "{stem}",
    ): '2:58: rules[0].output: without quotes, text that starts with { is a mapping to YAML; write "{dir}/{stem}.{ext}"',
    (
        "'out/{stem}.png'",
        "'{key}/{stem}.png'",
    ): "2:58: rules[0].output: {key} is of rules with inputs, and this one has none; use {stem}",
}


@pytest.mark.parametrize("text", VALUE_FAULTS)
def test_values_of_the_whole(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == [VALUE_FAULTS[text]]


@pytest.mark.parametrize("entry", RUNTIME_FAULTS)
def test_values_of_runtime(tmp_path: Path, entry: str) -> None:
    assert faults(tmp_path, f"version: 1\n{RULES}\nruntime:   {{{entry}}}") == [f"3:{RUNTIME_FAULTS[entry]}"]


@pytest.mark.parametrize("entry", RULE_FAULTS)
def test_values_of_a_rule(tmp_path: Path, entry: str) -> None:
    """Flow mappings have places too: each entry stands on a line of its own, indented by seven."""
    text = f"version: 1\nrules: [{{{RULE},\n       {entry}}}]\n"
    assert faults(tmp_path, text) == [f"3:{RULE_FAULTS[entry]}"]


@pytest.mark.parametrize("change", REPLACED)
def test_one_value_replaced(tmp_path: Path, change: tuple[str, str]) -> None:
    assert faults(tmp_path, f"version: 1\n{RULES}".replace(*change)) == [REPLACED[change]]


@pytest.mark.parametrize(
    "entry", ["settle: 500", "settle: 2h", "settle: -1s", "settle: 1d", "rescan: 0", "rescan: 1ms"]
)
def test_durations_out_of_form_or_bounds(tmp_path: Path, entry: str) -> None:
    key, value = entry.split(": ")
    (line,) = faults(tmp_path, f"version: 1\n{entry}\n{RULES}")
    assert line.startswith(f"2:9: {key}: ")
    assert value in line


MANY = """\
version: 1
settle: 500
rules:
  - name: one
    watch: in
    steps: [mosaic: {block: 0, blok: 1}, gaussian_blur]
    output: in/{dir}/{name}
    retry: 3
  - name: one
    watch: [a, a]
    steps: []
  - 7
stat_dir: x
"""


def test_every_fault_is_told_at_once_and_in_order(tmp_path: Path) -> None:
    told = faults(tmp_path, MANY)
    assert [line.split(": ")[:2] for line in told] == [
        ["2:9", "settle"],
        ["6:29", "rules[0].steps[0].mosaic.block"],
        ["6:32", "rules[0].steps[0].mosaic.blok"],
        ["6:42", "rules[0].steps[1].gaussian_blur.sigma"],
        ["7:13", "rules[0].output"],
        ["8:5", "rules[0].retry"],
        ["9:5", "rules[1].output"],
        ["9:11", "rules[1].name"],
        ["10:16", "rules[1].watch[1]"],
        ["11:12", "rules[1].steps"],
        ["12:5", "rules[2]"],
        ["13:1", "stat_dir"],
    ]


def test_an_alias_is_the_place_of_what_it_stands_for(tmp_path: Path) -> None:
    text = f"version: 1\nsettle: &s 90m\nrescan: *s\nrules:\n  - &r {{{RULE}}}\n  - *r\n"
    assert faults(tmp_path, text) == [
        "2:9: settle: '90m' is out of range; 0 to 1h is possible",
        "6:5: rules[1].name: rules[0] has the same name; give each rule its own",
    ]


def test_what_was_merged_in_is_told_where_it_is_written(tmp_path: Path) -> None:
    text = f"version: 1\nrules:\n  - &r {{{RULE}, retries: many}}\n  - {{<<: *r, name: b, retries: 2}}\n"
    assert faults(tmp_path, text) == [
        "3:84: rules[0].retries: 'many' is not a whole number; write digits without quotes"
    ]


def test_tags_are_refused_and_nothing_is_run(tmp_path: Path) -> None:
    text = f"version: 1\nstate_dir: !!python/object/apply:os.mkdir [{tmp_path}/made]\n{RULES}"
    told = faults(tmp_path, text)
    assert any("2:12: state_dir: the tag 'tag:yaml.org,2002:python/object/apply:os.mkdir'" in line for line in told)
    assert not (tmp_path / "made").exists()


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize("text", [BOMB, "[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: 1\n" * 30_000])
def test_a_file_that_stands_for_too_much(tmp_path: Path, text: str) -> None:
    (line,) = faults(tmp_path, text)
    assert "yaml: more than 20000 values, or 32 levels of nesting" in line


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    assert faults(tmp_path, "#" * (1 << 20) + "\n") == [
        "1:1: file: it is larger than 1024 KiB; give a configuration file"
    ]


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    assert faults(tmp_path, "version: 1\nname: Grüße".encode("latin-1")) == [
        "2:9: file: the byte 0xFC is not UTF-8; save the file as UTF-8"
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    for name, words in {
        "none.yaml": "none.yaml:1:1: file: there is no such file; name another one with -c FILE",
        ".": ".:1:1: file: this is a folder; name the file in it, such as config.yaml",
        "a\nb": r"a\nb:1:1: file: there is no such file; name another one with -c FILE",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load_config(Path(name))
        assert caught.value.faults == [words]
    with pytest.raises(ConfigError, match=r"^loop:1:1: file: it cannot be read"):
        load_config(Path("loop"))


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root, who may run this, reads what is forbidden to others
    with pytest.raises(ConfigError, match="file: this user may not read it; grant it with chmod"):
        load_config(tmp_path / "config.yaml")


@pytest.mark.parametrize("text", [*YAML_FAULTS, MANY, BOMB, 'a: "\\ud800"', "a: !<", "%X\na"])
def test_the_parser_in_python_is_as_good(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml; its words differ, its verdict does not."""
    with_libyaml = faults(tmp_path, text)
    monkeypatch.setattr(yaml_source, "_LOADER", yaml.SafeLoader)
    assert len(faults(tmp_path, text)) == len(with_libyaml)
