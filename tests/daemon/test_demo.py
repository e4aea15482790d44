"""`make demo`: every shipped rule gets pictures that it takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2

from daemon.config import load_config
from examples.demo import SIDE, drop
from tests.box import REPOSITORY


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_shipped_rule_gets_its_pictures(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "config.yaml", tmp_path)
    config = load_config(tmp_path / "config.yaml")
    drop(config)
    for rule in config.rules:
        files = [name for folder in rule.watch for name in names(folder)]
        assert files and all(map(rule.takes, files)), rule.name
    inbox = tmp_path / "inbox"
    assert names(inbox / "hybrid") == {"portrait.near.jpg", "portrait.far.jpg"}
    assert names(inbox / "inpaint") == {"portrait.png", "portrait.mask.png"}
    for path in (inbox / "inpaint").iterdir():
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape == (SIDE, SIDE, 3)


def test_the_makefile_runs_what_is_there() -> None:
    """The command that `make demo` prints, as far as loading its module in a Python that is not told where."""
    told = subprocess.run(["make", "-n", "demo"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    (module,) = re.findall(r"/python -m (\S+)$", told, re.MULTILINE)
    find = f"import {module}"
    subprocess.run([sys.executable, "-c", find], cwd=REPOSITORY, env={"PATH": ""}, check=True, timeout=60)
