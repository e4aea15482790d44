"""docs/adding-an-operator.md is true: its example, pasted into one file, is a step like any other."""

from __future__ import annotations

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
EXAMPLES = {"invert.py": "strength", "mirror.py": "columns"}
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
