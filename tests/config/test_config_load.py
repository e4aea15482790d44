"""A good config.yaml becomes a Config; whatever else a file holds becomes faults, never a traceback."""

from __future__ import annotations

import math
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.config.shapes import ConfigShape
from daemon.config.values import MEMORY, PICTURE_SIZE, duration
from daemon.errors import ConfigError
from daemon.model import DEFAULT_MATCH, Conditions, Config, EncodeOptions, OnConflict, SourceAction
from daemon.options import RuntimeOptions
from daemon.unfit import UnfitError, absolute

SHIPPED = Path(__file__).parents[2] / "config.yaml"
RULE = "  - {name: a, watch: in, steps: [grayscale], output: 'out/{stem}.png'}\n"
MINIMAL = f"version: 1\nrules:\n{RULE}"


def config(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load_config(path)


def test_the_defaults(tmp_path: Path) -> None:
    loaded = config(tmp_path, MINIMAL)
    cores = len(os.sched_getaffinity(0))
    assert loaded.path == tmp_path / "config.yaml"
    assert loaded.state_dir == tmp_path / "var"
    assert loaded.runtime == RuntimeOptions("auto", 1 << 30, cores, 200_000_000)
    assert (loaded.settle, loaded.rescan) == (0.5, 300)
    (rule,) = loaded.rules
    assert (rule.name, rule.watch, rule.match) == ("a", (tmp_path / "in",), DEFAULT_MATCH)
    assert (rule.recursive, rule.retries, rule.on_conflict) == (True, 3, OnConflict.OVERWRITE)
    assert (rule.when, rule.encode, rule.source.action) == (Conditions(), EncodeOptions(), SourceAction.KEEP)
    assert [step.name for step in rule.chain] == ["grayscale"]
    assert rule.output.folder == str(tmp_path / "out")


EVERY_KEY = """\
version: 1
state_dir: ../state
runtime: {device: cpu, memory: 1.5 GiB, workers: 3, max_pixels: 50MP}
settle: 0
rescan: 1h
rules:
  - name: Every.key_1
    watch: [in, "~/pictures", /srv/./a/../b]
    recursive: false
    match: ["*.jpg"]
    when: {min_width: 1, min_height: 2, max_width: 3, max_height: 4, color: no}
    steps: [grayscale, mosaic: {block: 8}]
    output: "{rule}/{date}/{stem}-{width}x{height}.{ext}"
    encode: {jpeg_quality: 1, webp_quality: 100, webp_lossless: true}
    on_conflict: rename
    source: {move: {to: "originals/{dir}/{name}"}}
    retries: 0
"""


def test_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    loaded = config(tmp_path, EVERY_KEY)
    assert loaded.state_dir == tmp_path.parent / "state"
    assert loaded.runtime == RuntimeOptions("cpu", 3 << 29, 3, 50_000_000)
    assert (loaded.settle, loaded.rescan) == (0, 3600)
    rule = loaded.rules_by_name()["Every.key_1"]
    assert rule.watch == (tmp_path / "in", Path("/home/somebody/pictures"), Path("/srv/b"))
    assert (rule.recursive, rule.match, rule.retries) == (False, ("*.jpg",), 0)
    assert rule.when == Conditions(1, 2, 3, 4, False)
    assert rule.encode == EncodeOptions(1, 100, True)
    assert (rule.on_conflict, rule.source.action) == (OnConflict.RENAME, SourceAction.MOVE)
    assert rule.source.to is not None
    assert rule.source.to.folder == str(tmp_path / "originals")


def test_paths_start_beside_the_file_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, MINIMAL)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = load_config(Path("../config.yaml"))
    assert (loaded.path, loaded.state_dir) == (tmp_path / "config.yaml", tmp_path / "var")


def test_aliases_merges_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = (
        MINIMAL.replace("- {", "- &a {")
        + "  - {<<: *a, name: b, match: &m ['*.png']}\n  - {<<: [*a], name: c, match: *m}\n"
    )
    loaded = config(tmp_path, "\ufeff" + text)
    assert [(rule.name, rule.match) for rule in loaded.rules[1:]] == [("b", ("*.png",)), ("c", ("*.png",))]


def test_text_that_looks_like_a_date_stays_text(tmp_path: Path) -> None:
    assert config(tmp_path, MINIMAL.replace("name: a", "name: 2024-05-01")).rules[0].name == "2024-05-01"


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("5m", 300), ("1h", 3600), ("1.5 s", 1.5), (0, 0), ("0s", 0)]
)
def test_durations(text: object, seconds: float) -> None:
    assert math.isclose(duration(0, "1h").parse(text), seconds)


@pytest.mark.parametrize(
    "raw", [1, 2.0, True, None, "", "5", "ms", "-1s", "1e3s", "1d", "5M", "61m", "9" * 400 + "s", [], "١s"]
)
def test_no_durations(raw: object) -> None:
    with pytest.raises(UnfitError):
        duration(0, "1h").parse(raw)


def test_sizes() -> None:
    texts = ("512MiB", "1GiB", "20480 KiB", "17MB", "1GB", "16777.216kB")
    assert [MEMORY.parse_whole(text) for text in texts] == [1 << 29, 1 << 30, 20 << 20, 17_000_000, 10**9, 1 << 24]
    assert [PICTURE_SIZE.parse_whole(raw) for raw in ("200MP", "1.5GP", 1, 4096)] == [
        200_000_000,
        1_500_000_000,
        1,
        4096,
    ]
    for raw in (1 << 30, "1gib", "1TiB", "16MB", True, "99999GiB"):
        with pytest.raises(UnfitError):
            MEMORY.parse(raw)


def test_paths_that_cannot_be() -> None:
    for text in ("", "  ", "a\0b", "~no-such-user/x"):
        with pytest.raises(UnfitError):
            absolute(text, Path("/base"))
    assert absolute("./~a", Path("/base")) == "/base/~a"


def test_the_shipped_file() -> None:
    loaded = load_config(SHIPPED)
    assert len(loaded.rules) >= 5
    for rule in loaded.rules:
        assert rule.watch == (SHIPPED.parent / "inbox" / rule.name,)
        assert rule.output.folder == str(SHIPPED.parent / "outbox" / rule.name)


def test_what_the_shipped_file_gives_as_defaults_are_the_defaults(tmp_path: Path) -> None:
    shown = re.sub(r"^( *)# (?=(?:max_pixels|match): )", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)
    assert len(shown) < len(SHIPPED.read_text())
    full, minimal = config(tmp_path, shown), config(tmp_path, MINIMAL)
    assert (full.runtime, full.settle, full.rescan) == (minimal.runtime, minimal.settle, minimal.rescan)
    mosaic, plain = full.rules[0], minimal.rules[0]
    assert (mosaic.match, mosaic.encode, mosaic.retries) == (plain.match, plain.encode, plain.retries)
    assert (mosaic.on_conflict, mosaic.source, mosaic.recursive) == (plain.on_conflict, plain.source, plain.recursive)


def test_the_shipped_file_explains_every_key() -> None:
    text = SHIPPED.read_text()
    schema = ConfigShape.model_json_schema()
    keys = set(schema["properties"]).union(*(part["properties"] for part in schema["$defs"].values()))
    assert [key for key in keys if not re.search(rf"\b{key}\b", text)] == []


def test_loading_is_quick_and_loads_no_torch() -> None:
    load_config(SHIPPED)
    started = time.process_time()
    for _ in range(10):
        load_config(SHIPPED)
    assert time.process_time() - started < 0.3
    code = (
        "import sys; from pathlib import Path; from daemon.config import load_config; load_config(Path('config.yaml'))"
    )
    command = [sys.executable, "-c", code + "; print('torch' in sys.modules)"]
    done = subprocess.run(command, cwd=SHIPPED.parent, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


LINE = re.compile(r"""[^\n]+:[1-9]\d*:[1-9]\d*: (?:[^\s'"]|'.*'|".*")+: [^\n]+; [^\n]+""")
SPICE = [
    *"{}[]:-,&*!|>'\"%@`#~?\t\n .\\\0\x7fé😀",
    "<<: ",
    "null",
    ".nan",
    "-.inf",
    "1e400",
    "0x" + "f" * 90,
    "9" * 5000,
    "0b_",
]
SPICE += [
    "1:30",
    "2024-01-01",
    "{dir}",
    "{{",
    "..",
    "/",
    "*a",
    "&a ",
    "- ",
    "---\n",
    "!!int ",
    "\x85",
    "\u2028",
    "\\ud800",
]


def mutated(text: str, dice: random.Random) -> str:
    """The text after one to four strokes: something put in, cut out, doubled or swapped."""
    for _ in range(dice.randint(1, 4)):
        start, end = sorted(dice.sample(range(len(text)), 2))
        end = min(end, start + dice.choice((1, 3, 10, 200)))
        lines = text.splitlines(keepends=True)
        dice.shuffle(shuffled := lines[:])
        piece = dice.choice(SPICE)
        text = dice.choice(
            (
                text[:start] + piece + text[start:],
                text[:start] + piece + text[end:],
                text[:start] + text[end:],
                text[:end] + text[start:],
                with_value(text, piece, dice),
                "".join(shuffled) if dice.random() < 0.1 else text,
            )
        )
    return text


def with_value(text: str, piece: str, dice: random.Random) -> str:
    """The text with the value of one key replaced."""
    places = list(re.finditer(r"(?<=: )[^\s,}#]+", text))
    place = dice.choice(places) if places else None
    return text[: place.start()] + piece + text[place.end() :] if place else text


def test_no_mutation_of_the_shipped_file_escapes(tmp_path: Path) -> None:
    bare = re.sub(r"(?m)^ *#.*\n| +#.*$", "", SHIPPED.read_text())
    dice = random.Random(20)
    path, good = tmp_path / "config.yaml", 0
    for number in range(600):
        path.write_text(text := mutated(bare, dice), encoding="utf-8", newline="")
        try:
            good += isinstance(load_config(path), Config)
        except ConfigError as error:
            assert error.faults, (number, text)
            for line in error.faults:
                assert LINE.fullmatch(line), (number, line, text)
    assert 20 < good < 400  # some strokes do no harm, most do: the dice are neither too soft nor too hard
