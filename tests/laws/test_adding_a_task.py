"""docs/adding-a-task.md is true: its example, pasted into one file, is a task like any other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "adding-a-task.md"
CONFIG = """
version: 1
rules:
- name: smooth
  watch: in
  steps: [smooth: {{strength: {strength}, steps: 30}}]
  output: out/{{stem}}.png
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with the page's example in it, and a photograph."""
    folder = tmp_path_factory.mktemp("checkout")
    for package in ("kernels", "export", "daemon"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (folder / "kernels" / "smooth.py").write_text(block, encoding="utf-8")
    (folder / "in").mkdir()
    assert cv2.imwrite(str(folder / "in/cat.png"), data.chelsea()[40:157, 100:251, ::-1])
    return folder


def darkroom(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.cli", *words]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90, check=False)


def roughness(path: Path) -> float:
    """The mean difference between neighbours."""
    picture = cv2.imread(str(path))
    assert picture is not None
    return float(np.abs(np.diff(picture.astype(float), axis=0)).mean())


def test_operators_tells_of_it(checkout: Path) -> None:
    done = darkroom(checkout, "operators", "smooth")
    assert done.returncode == 0, done.stderr
    assert "smooth: Flat parts become flatter" in done.stdout and "strength: 0–10, default 0.1" in done.stdout


def test_check_knows_its_bounds(checkout: Path) -> None:
    (checkout / "config.yaml").write_text(CONFIG.format(strength=11), encoding="utf-8")
    done = darkroom(checkout, "check")
    assert done.returncode == 2
    assert done.stderr.startswith("config.yaml:6:30: rules[0].steps[0].smooth.strength: 11 is out of range; give 0–10")


def test_a_rule_and_apply_give_the_same_picture(checkout: Path) -> None:
    (checkout / "config.yaml").write_text(CONFIG.format(strength=0.5), encoding="utf-8")
    done = darkroom(checkout, "run", "--once")
    assert done.returncode == 0, done.stderr + done.stdout
    done = darkroom(checkout, "apply", "smooth: {strength: 0.5, steps: 30}", "in/cat.png", "-o", "applied.png")
    assert done.returncode == 0, done.stderr
    assert (checkout / "applied.png").read_bytes() == (checkout / "out/cat.png").read_bytes()
    assert roughness(checkout / "out/cat.png") < 0.9 * roughness(checkout / "in/cat.png")
    assert "30 steps" in done.stdout and "variation" in done.stdout
