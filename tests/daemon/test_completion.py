"""`darkroom completion`: its script, driven by a real bash as the Tab key does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.box import ENVIRONMENT

TAB = """
source ./darkroom.bash
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1}
name=$(complete -p darkroom | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
"$name" darkroom "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some files, and the script for bash."""
    made = tmp_path_factory.mktemp("completion")
    command = [sys.executable, "-m", "daemon.cli", "completion", "bash"]
    script = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True).stdout
    (made / "darkroom.bash").write_text(script, encoding="utf-8")
    (made / "cat.png").touch()
    (made / "pictures").mkdir()
    return made


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("darkroom sta", {"status"}),
        ("darkroom re", {"redo", "reload", "relocate", "retry"}),
        ("darkroom jobs --st", {"--state"}),
        ("darkroom jobs --state ", {"waiting", "running", "done", "failed", "skipped", "cancelled"}),
        ("darkroom jobs --state fa", {"failed"}),
        ("darkroom why ca", {"cat.png"}),
        ("darkroom export -o pi", {"pictures"}),
        ("darkroom check -c c", {"cat.png"}),
        ("darkroom operators gauss", {"gaussian_blur"}),
        ("darkroom weights v", {"verify"}),
        ("darkroom weights verify vgg19-", {"vgg19-random"}),
        ("darkroom completion z", {"zsh"}),
    ],
)
def test_tab_in_bash(folder: Path, typed: str, offered: set[str]) -> None:
    command = ["bash", "-c", TAB, "bash", typed]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=True)
    assert set(done.stdout.split()) == offered and done.stderr == ""


@pytest.mark.parametrize(("shell", "word"), [("zsh", "#compdef darkroom"), ("fish", "complete -c darkroom")])
def test_scripts_of_other_shells(folder: Path, shell: str, word: str) -> None:
    command = [sys.executable, "-m", "daemon.cli", "completion", shell]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True)
    assert word in done.stdout and "all-failed" in done.stdout
    if shutil.which(shell):
        (folder / shell).write_text(done.stdout, encoding="utf-8")
        subprocess.run([shell, "-n", folder / shell], timeout=30, check=True)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_takes_it_as_the_documentation_says(tmp_path: Path) -> None:
    script = """
        autoload -Uz compinit && compinit -u -d ./dump
        darkroom() { "$PYTHON" -m daemon.cli "$@" }
        eval "$(darkroom completion zsh)"
        print -r -- "$_comps[darkroom]"
    """
    command = ["zsh", "-f", "-c", script]
    environment = {**ENVIRONMENT, "PYTHON": sys.executable}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "darkroom" in done.stdout and done.stderr == ""
