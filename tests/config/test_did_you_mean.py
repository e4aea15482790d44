"""A mistyped name, in config.yaml or on the command line, is answered with the one that was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon import cli
from daemon.config import load_config
from daemon.errors import ConfigError

RULE: dict[str, Any] = {"name": "a", "watch": "in", "steps": ["grayscale"], "output": "out/{stem}.png"}
PAIR: dict[str, Any] = {**RULE, "steps": ["hybrid"], "output": "out/{key}.png"}
BOTH = {"near": "{key}.near.*", "far": "{key}.far.*"}


def rule(**keys: Any) -> dict[str, Any]:
    return {"rules": [{**RULE, **keys}]}


def step(name: str, **parameters: Any) -> dict[str, Any]:
    return rule(steps=[{name: parameters}])


TYPED: dict[str, dict[str, Any]] = {
    "settle": {"setle": "1s"},
    "state_dir": {"stat_dir": "x"},
    "runtime": {"Runtime": {}},
    "max_pixels": {"runtime": {"max_pixel": "1MP"}},
    "tensorrt-rtx": {"runtime": {"device": "tensorrt_rtx"}},
    "concurrency": {"tasks": {"concurency": 2}},
    "cuda": {"tasks": {"device": "CUDA"}},
    "on_conflict": rule(on_conflicts="skip"),
    "overwrite": rule(on_conflict="overwrit"),
    "min_width": rule(when={"minwidth": 5}),
    "jpeg_quality": rule(encode={"jpg_quality": 5}),
    "webp_lossless": rule(encode={"webp_loseless": True}),
    "delete": rule(source="delte"),
    "move": rule(source={"moev": {"to": "x/{name}"}}),
    "to": rule(source={"move": {"too": "x/{name}"}}),
    "{stem}": rule(output="out/{stm}.png"),
    "{name}": rule(source={"move": {"to": "x/{nmae}"}}),
    "mosaic": rule(steps=["mosiac"]),
    "gaussian_blur": rule(steps=["blur"]),
    "pool_upsample": rule(steps=[{"pool_upsampel": {"scale": 2}}]),
    "block": step("mosaic", blok=8),
    "linear_light": step("gaussian_blur", sigma=1, linear=True),
    "reflect": step("mosaic", border="refelct"),
    "scales": step("pool_upsample_psnr", scale=[1]),
    "gray": step("pool_upsample_psnr", inputs=["grey"]),
    "denoise": step("deep_image_prior", job="denoize"),
    "smooth_hole": step("deep_image_prior", preset="smooth-hole"),
    "conv4_2": step("style_transfer", content_layers={"conv42": 1}),
    "far": {"rules": [{**PAIR, "inputs": {**BOTH, "fra": "x.png"}}]},
}


@pytest.mark.parametrize("meant", TYPED)
def test_in_the_configuration(meant: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"version": 1, "rules": [RULE], **TYPED[meant]}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert any(f"did you mean {meant}? known: " in line for line in caught.value.faults), caught.value.faults


ONCE: dict[str, dict[str, Any]] = {
    "move": rule(source="moev"),
    "sigma": step("gaussian_blur", sgima=3),
    "near": {"rules": [{**PAIR, "inputs": {"nera": "{key}.a.*", "far": "{key}.b.*"}}]},
    "report": {"rules": [{"name": "a", "watch": "in", "steps": ["psnr"], "reprot": "x"}]},
    "watch": {"rules": [{"name": "a", "wach": "in", "steps": ["psnr"], "report": "x"}]},
}
"""What is required, or stands alone, and was mistyped: it is told once, and not also that it is missing."""


@pytest.mark.parametrize("meant", ONCE)
def test_told_once(meant: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"version": 1, **ONCE[meant]}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (line,) = caught.value.faults
    assert f"did you mean {meant}? known: " in line


WORDS = {
    "stauts": "darkroom: argument COMMAND: 'stauts' is not known; did you mean status? known: run, ",
    "--debgu status": "darkroom: --debgu is not an option here; did you mean --debug? ",
    "--verson": "darkroom: --verson is not an option here; did you mean --version? ",
    "-c config.yaml jobs": "darkroom: -c is not an option here; those of a command stand after it; see ",
    "weights --jsno list": "darkroom weights: --jsno is not an option here; did you mean --json? ",
    "jobs --rulle mosaic": "darkroom jobs: --rulle is not an option here; did you mean --rule? ",
    "jobs --rulle=mosaic": "darkroom jobs: --rulle is not an option here; did you mean --rule? ",
    "retry --rulle mosaic": "darkroom retry: --rulle is not an option here; did you mean --rule? ",
    "jobs --state runing": "darkroom jobs: argument --state: 'runing' is not known; did you mean running? ",
    "weights lsit": "darkroom weights: argument COMMAND: 'lsit' is not known; did you mean list? ",
    "weights verify vgg91": "darkroom weights verify: argument NAME: 'vgg91' is not known; did you mean vgg19? ",
    "completion bahs": "darkroom completion: argument SHELL: 'bahs' is not known; did you mean bash? ",
    "run now": "darkroom run: unrecognized arguments: now; see darkroom run --help",
}


@pytest.mark.parametrize("words", WORDS)
def test_on_the_command_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words.split())
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(WORDS[words]) and said.count("\n") == 1


@pytest.mark.parametrize(("typed", "meant"), [("mosiac", "mosaic"), ("blur", "gaussian_blur")])
def test_the_name_of_an_operator(typed: str, meant: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["operators", typed]) == 2
    assert f"no step is called '{typed}'; did you mean {meant}?" in capfd.readouterr().err


def test_what_is_like_nothing_is_answered_with_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["jobs", "--state", "xyzzy"])
    assert "'xyzzy' is not known; known: waiting, running, " in capsys.readouterr().err
