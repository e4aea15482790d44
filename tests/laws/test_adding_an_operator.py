"""docs/adding-an-operator.md is true: its example, pasted into one file, is a step like any other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "adding-an-operator.md"
PACKAGES = ("kernels", "export", "daemon")
EXAMPLES = {"invert.py": "strength", "mirror.py": "columns", "luma_psnr.py": "measurement"}
"""The files that the page's Python blocks become, and a word by which each block is known."""


class Checkout:
    """A copy of the packages with the page's examples in it, driven through the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def darkroom(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}
        command = [sys.executable, "-m", "daemon.cli", *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=90, check=False
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("checkout")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for (name, word), block in zip(EXAMPLES.items(), blocks, strict=True):
        assert word in block, f"the page's blocks are not {', '.join(EXAMPLES)}, in this order"
        (folder / "kernels" / name).write_text(block, encoding="utf-8")
    return Checkout(folder)


def test_operators_tells_of_it_as_the_page_shows(checkout: Checkout) -> None:
    done = checkout.darkroom("operators", "invert")
    assert done.returncode == 0, done.stderr
    shown = "\n".join(done.stdout.splitlines()[:2])
    assert "strength: 0–1, default 1" in shown
    assert f"```text\n{shown}\n```" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("step", "place", "words"),
    [
        ("invert: {strength: 2}", "5:30: rules[0].steps[0].invert.strength", "2 is out of range; give 0–1"),
        ("invert: {strenght: 1}", "5:20: rules[0].steps[0].invert.strenght", "did you mean strength?"),
        ("invert: {strength: 0.5}", "", ""),
    ],
)
def test_check_knows_its_bounds(checkout: Checkout, step: str, place: str, words: str) -> None:
    config = checkout.folder / "config.yaml"
    config.write_text(
        f"version: 1\nrules:\n- name: a\n  watch: in\n  steps: [{step}]\n  output: out/{{stem}}.png\n", encoding="utf-8"
    )
    done = checkout.darkroom("check")
    if not place:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2
    assert done.stderr.startswith(f"config.yaml:{place}: ")
    assert words in done.stderr


def test_it_computes_what_it_says(checkout: Checkout) -> None:
    """A photograph through the exported graphs: exactly 255 − x, and in a chain mirrored as well."""
    photograph = np.ascontiguousarray(data.chelsea()[40:157, 100:251])
    assert cv2.imwrite(str(checkout.folder / "photograph.png"), photograph)
    expected = {
        "invert: {strength: 1}": ("inverted.png", 255 - photograph),
        "[invert: {strength: 1}, mirror]": ("mirrored.png", 255 - photograph[:, ::-1]),
    }

    def apply(steps: str) -> None:
        done = checkout.darkroom("apply", steps, "photograph.png", "-o", expected[steps][0])
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as both:
        list(both.map(apply, expected))
    for steps, (name, pixels) in expected.items():
        result = cv2.imread(str(checkout.folder / name))
        assert result is not None
        assert np.array_equal(result, pixels), steps


def test_a_measurement_is_exported_and_agrees_with_pytorch(checkout: Checkout) -> None:
    config = checkout.folder / "measuring.yaml"
    rule = "{name: a, watch: in, steps: [invert: {strength: 0.5}, luma_psnr], report: out}"
    config.write_text(f"version: 1\nrules: [{rule}]\n", encoding="utf-8")
    done = checkout.darkroom("export", "-c", config.name, "-o", "exported")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads((checkout.folder / "exported/parity.json").read_text(encoding="utf-8"))
    assert report["passed"] is True
    assert "measurements within" in done.stdout


def test_a_measurement_gives_its_number(checkout: Checkout) -> None:
    photograph = np.ascontiguousarray(data.chelsea()[40:157, 100:251])
    assert cv2.imwrite(str(checkout.folder / "cat.png"), photograph[..., ::-1])
    done = checkout.darkroom("apply", "[invert: {strength: 0.5}, luma_psnr]", "cat.png", "-o", "half.png")
    assert done.returncode == 0, done.stderr
    written = cv2.imread(str(checkout.folder / "half.png"))
    assert written is not None
    difference = (written[..., ::-1].astype(float) - photograph) @ [0.299, 0.587, 0.114] / 255
    told = json.loads((checkout.folder / "half.png.json").read_text(encoding="utf-8"))
    (number,) = told["measurements"]
    assert (number["input"], number["scale"]) == ("luma of invert", None)
    assert number["mse"] == pytest.approx(np.mean(difference**2), rel=1e-5)
    assert number["psnr"] == pytest.approx(-10 * np.log10(np.mean(difference**2)), abs=1e-3)
    assert f"{number['psnr']:.2f} dB" in done.stdout


def test_a_measurement_that_needs_the_same_size_says_so(checkout: Checkout) -> None:
    done = checkout.darkroom("apply", "[resize: {size: 9}, luma_psnr]", "cat.png", "-o", "small.png")
    assert done.returncode == 2
    assert "put luma_psnr before resize" in done.stderr
