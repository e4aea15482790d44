"""The JSON Schema of config.yaml: it takes whatever `check` takes, and refuses what is clearly wrong."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from daemon import cli
from daemon.config import load_config
from daemon.config.schema import editor_schema
from daemon.config.shapes import ConfigShape
from daemon.config.yaml_source import read_yaml
from daemon.errors import ConfigError
from kernels.spec import ParameterError, operators
from tests.laws.test_docs import REPOSITORY, completed, snippets

SCHEMA = editor_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RULE: dict[str, Any] = {"name": "a", "watch": "in", "steps": ["grayscale"], "output": "out/{stem}.png"}
PAIR: dict[str, Any] = {
    **RULE,
    "steps": ["hybrid"],
    "inputs": {"near": "{key}.near.*", "far": "{key}.far.*"},
    "output": "o/{key}.png",
}


def whole(rule: dict[str, Any] = RULE, **top: Any) -> dict[str, Any]:
    return {"version": 1, "rules": [rule], **top}


def check_takes(data: object, folder: Path) -> bool:
    """Whether `darkroom check` has nothing against a configuration."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    try:
        load_config(path)
    except ConfigError:
        return False
    return True


def test_it_is_a_schema_and_every_key_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for place, key in described(SCHEMA):
        assert key.get("description"), place
        assert set(key) & {"type", "enum", "const", "anyOf", "oneOf"}, place


def described(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of every mapping that the schema knows, with its place; the layers of networks are no keys."""
    for name, key in schema.get("properties", {}).items():
        yield f"{place}.{name}", key
        if not name.endswith("_layers"):
            yield from described(key, f"{place}.{name}")
    below = [schema["items"]] if "items" in schema else []
    for each in [*below, *schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("$defs", {}).values()]:
        yield from described(each, place)


def test_defaults_and_examples_are_values_that_it_takes() -> None:
    for place, key in described(SCHEMA):
        validator = VALIDATOR.evolve(schema=key | {"$defs": SCHEMA["$defs"]})
        for value in [*([key["default"]] if "default" in key else []), *key.get("examples", [])]:
            assert validator.is_valid(value), f"{place}: {value!r}"


def test_the_shipped_configuration_fits() -> None:
    VALIDATOR.validate(read_yaml((REPOSITORY / "config.yaml").read_text(encoding="utf-8")).root.plain())


@pytest.mark.parametrize("text", snippets())
def test_the_snippets_of_the_documentation_fit(text: str) -> None:
    VALIDATOR.validate(read_yaml(completed(text)).root.plain())


PROBES: list[Any] = [
    *(None, True, False, 0, 1, 2, 3, 16, 92, 300, -1, 0.5, 1.0, "", "x", "auto", "0", "0s", "500ms", "2 s", "1.5m"),
    *("2h", "512MiB", "1GB", "200MP", "cpu", "tensorrt", "keep", "move", "rename", "mosaic", "gaussian_blur", "resize"),
    *("out/{stem}.png", "{{x}}/{name}.png", "out/{stm}.png", "out/{key}.png", "true", "zero", "denoise", "vgg19"),
    *([], ["x"], [1, 2], [True, "gray"], [""], ["mosaic", {"psnr": None}], {}, {"to": "x/{name}"}, {"mosaic": None}),
    *({"move": {"to": "x/{name}"}}, {"mosaic": {"block": 8}}, {"gaussian_blur": {"sigma": 2}}, {"min_width": 5}),
    *({"near": "{key}.near.*", "far": "far.png"}, {"picture": "{key}.*"}, {"conv4_2": 1}, {"resize": {"width": 9}}),
]


def test_it_takes_whatever_check_takes(tmp_path: Path) -> None:
    """Every key of every mapping with a value of every kind: what `check` takes, the schema does."""
    taken = 0
    for data in probed():
        try:
            ConfigShape.model_validate(data, context={"base": tmp_path})
        except ValidationError:
            continue
        taken += 1
        assert not (errors := [error.message for error in VALIDATOR.iter_errors(data)]), f"{data}: {errors}"
    assert taken > 200, "the probes were meant to hit"


def probed() -> Iterator[dict[str, Any]]:
    rule = SCHEMA["properties"]["rules"]["items"]["properties"]
    for value in PROBES:
        for key in SCHEMA["properties"]:
            yield whole(**{key: value})
        for top in ("runtime", "tasks"):
            for key in SCHEMA["properties"][top]["properties"]:
                yield whole(**{top: {key: value}})
        for key in rule:
            yield whole({**RULE, key: value})
        for key in ("inputs", "output", "preview", "trace"):
            yield whole({**PAIR, key: value})
        for mapping in ("when", "encode"):
            for key in rule[mapping]["properties"]:
                yield whole({**RULE, mapping: {key: value}})
        yield whole({**RULE, "source": {"move": {"to": value}}})
        yield whole({**RULE, "report": "r", "steps": ["psnr"], "output": value})
        yield from (whole({**PAIR, "inputs": {**PAIR["inputs"], role: value}}) for role in ("near", "far", "mask"))


@pytest.mark.parametrize("name", list(operators()))
def test_it_takes_every_parameter_that_a_step_takes(name: str) -> None:
    *_, mapping = SCHEMA["$defs"]["step"]["anyOf"]
    for parameter, kind in operators()[name].parameters.items():
        validator = VALIDATOR.evolve(schema=mapping["properties"][name]["properties"][parameter])
        for value in PROBES:
            with contextlib.suppress(ParameterError):
                kind.parse(value)
                assert validator.is_valid(value), f"{parameter}: {value!r}"


WRONG: dict[str, dict[str, Any]] = {
    "no version": {"rules": [RULE]},
    "another version": whole(version=2),
    "no rules": {"version": 1},
    "an empty list of rules": {"version": 1, "rules": []},
    "an unknown key": whole(stat_dir="x"),
    "an unknown key of a rule": whole({**RULE, "wach": "in"}),
    "an unknown key of runtime": whole(runtime={"cores": 2}),
    "an unknown key of tasks": whole(tasks={"hangs": "1s"}),
    "an unknown key of when": whole({**RULE, "when": {"minwidth": 1}}),
    "an unknown key of encode": whole({**RULE, "encode": {"quality": 1}}),
    "an unknown key of source": whole({**RULE, "source": {"mov": {"to": "a/{name}"}}}),
    "an unknown key of move": whole({**RULE, "source": {"move": {"too": "a/{name}"}}}),
    "a rule without name": whole({key: RULE[key] for key in ("watch", "steps", "output")}),
    "a rule without output": whole({key: RULE[key] for key in ("name", "watch", "steps")}),
    "a name that is none": whole({**RULE, "name": "../x"}),
    "a name that is too long": whole({**RULE, "name": "x" * 101}),
    "a device that is none": whole(runtime={"device": "gpu"}),
    "too many workers": whole(runtime={"workers": 257}),
    "workers in words": whole(runtime={"workers": "all"}),
    "a size without its unit": whole(runtime={"memory": 1000}),
    "a size with another unit": whole(runtime={"memory": "1TB"}),
    "no pixels": whole(runtime={"max_pixels": 0}),
    "too many pixels": whole(runtime={"max_pixels": 10_000_000_001}),
    "a duration without its unit": whole(settle=500),
    "a duration with another unit": whole(rescan="1d"),
    "an interval of nothing": whole(rescan=0),
    "too many tasks": whole(tasks={"concurrency": 65}),
    "a folder that is a number": whole({**RULE, "watch": 5}),
    "an empty list of folders": whole({**RULE, "watch": []}),
    "match as text": whole({**RULE, "match": "*.jpg"}),
    "recursive as a number": whole({**RULE, "recursive": 1}),
    "a width out of range": whole({**RULE, "when": {"min_width": 1_000_001}}),
    "a quality out of range": whole({**RULE, "encode": {"jpeg_quality": 101}}),
    "an unknown way with conflicts": whole({**RULE, "on_conflict": "replace"}),
    "move without where": whole({**RULE, "source": "move"}),
    "too many retries": whole({**RULE, "retries": 101}),
    "retries with a fraction": whole({**RULE, "retries": 2.5}),
    "a preview without its unit": whole({**PAIR, "preview": 2}),
    "a misspelt field": whole({**RULE, "output": "out/{stm}.png"}),
    "a brace alone": whole({**RULE, "output": "out/{stem.png"}),
    "a misspelt field in move": whole({**RULE, "source": {"move": {"to": "x/{nam}"}}}),
    "no steps": whole({**RULE, "steps": []}),
    "a misspelt step": whole({**RULE, "steps": ["mosiac"]}),
    "a misspelt step alone": whole({**RULE, "steps": "mosiac"}),
    "a misspelt step with parameters": whole({**RULE, "steps": [{"mosiac": {"block": 8}}]}),
    "two steps in one": whole({**RULE, "steps": [{"mosaic": None, "psnr": None}]}),
    "a misspelt parameter": whole({**RULE, "steps": [{"mosaic": {"blok": 8}}]}),
    "a parameter out of range": whole({**RULE, "steps": [{"mosaic": {"block": 4097}}]}),
    "a parameter below its range": whole({**RULE, "steps": {"gaussian_blur": {"sigma": 0.05}}}),
    "a parameter of another type": whole({**RULE, "steps": [{"mosaic": {"block": "8"}}]}),
    "a parameter left empty": whole({**RULE, "steps": [{"mosaic": {"block": None}}]}),
    "an even kernel": whole({**RULE, "steps": [{"gaussian_blur": {"sigma": 1, "kernel": 4}}]}),
    "a choice that is none": whole({**RULE, "steps": [{"mosaic": {"border": "refelct"}}]}),
    "a flag that is none": whole({**RULE, "steps": [{"gaussian_blur": {"sigma": 1, "linear_light": 1}}]}),
    "a required parameter left out": whole({**RULE, "steps": ["gaussian_blur"]}),
    "every parameter left out": whole({**RULE, "steps": ["resize"]}),
    "an empty list of scales": whole({**RULE, "steps": [{"pool_upsample_psnr": {"scales": []}}]}),
    "a scale twice": whole({**RULE, "steps": [{"pool_upsample_psnr": {"scales": [1, 1]}}]}),
    "an unknown layer": whole({**RULE, "steps": [{"style_transfer": {"style_layers": {"conv9_9": 1}}}]}),
    "an unknown preset": whole({**RULE, "steps": [{"deep_image_prior": {"preset": "fasst"}}]}),
    "a role that is missing": whole({**PAIR, "inputs": {"near": "{key}.near.*"}}),
    "inputs that are missing": whole({key: PAIR[key] for key in ("name", "watch", "steps", "output")}),
    "a misspelt role": whole({**PAIR, "inputs": {**PAIR["inputs"], "fra": "x.png"}}),
    "a role of another task": whole({**PAIR, "inputs": {**PAIR["inputs"], "mask": "{key}.mask.*"}}),
    "a role without a pattern": whole({**PAIR, "inputs": {"near": "{key}.near.*", "far": None}}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_by_both(what: str, tmp_path: Path) -> None:
    assert not check_takes(WRONG[what], tmp_path)
    assert not VALIDATOR.is_valid(WRONG[what])


def test_an_editor_can_offer_each_step_with_its_parameters() -> None:
    *names, mapping = SCHEMA["$defs"]["step"]["anyOf"]
    assert {"const": "grayscale", "description": operators()["grayscale"].summary} in names
    assert {each["const"] for each in names} == operators().keys() - {"gaussian_blur", "resize"}, "they need parameters"
    mosaic = mapping["properties"]["mosaic"]
    assert mosaic["description"] == operators()["mosaic"].doc
    assert mosaic["properties"]["block"] == {
        "description": "side of a cell (1–4096 px, default 16)",
        "type": "integer",
        "minimum": 1,
        "maximum": 4096,
        "default": 16,
    }


def test_keys_tell_their_ranges_and_defaults() -> None:
    keys = SCHEMA["properties"]
    assert keys["rescan"]["description"].endswith("this often (`1s` to `8760h`; default `5m`)")
    assert keys["runtime"]["properties"]["memory"]["default"] == "1GiB"
    rule = keys["rules"]["items"]["properties"]
    assert "{stem}: the file name without its extension" in rule["output"]["description"]
    assert rule["output"]["type"] == ["string", "null"], "one type with null, not a choice of two"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
    assert cli.main(["schema", "-o", "config.schema.json"]) == 0
    assert "# yaml-language-server: $schema=config.schema.json" in capsys.readouterr().out
    assert json.loads(Path("config.schema.json").read_text(encoding="utf-8")) == SCHEMA
