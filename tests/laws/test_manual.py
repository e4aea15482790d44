"""What is generated is not stale, and can be read: tables, the schema for editors, manual pages."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from daemon.cli import parser
from kernels.parameters import REQUIRED, Integer, Number, plain
from kernels.spec import operators
from manual.command_page import arguments, commands
from manual.generated import REPOSITORY, texts, with_tables

TEXTS = texts()
PAGES = sorted((REPOSITORY / "deploy" / "man").iterdir())
FORMATTERS = {
    "groff": ["groff", "-Tutf8", "-man", "-ww"],
    "man": ["man", "--warnings", "-l"],
    "mandoc": ["mandoc", "-Tlint", "-Wwarning"],
}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_is_stale(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == TEXTS[path], "run `make manual`"


def test_a_table_is_made_of_the_keys_that_are_wanted() -> None:
    page = with_tables("a\n<!-- generated: rule retries trace -->\nold\n<!-- end -->\nb\n")
    assert "old" not in page and "| `retries` | how often " in page and "| `trace` | " in page
    assert "`steps`" not in page and page.startswith("a\n") and page.endswith("<!-- end -->\nb\n")
    assert with_tables(page) == page
    with pytest.raises(KeyError):
        with_tables("<!-- generated: rule retires -->\n<!-- end -->")


def test_every_argument_of_every_command_is_explained() -> None:
    for command in commands(parser()):
        assert command.description, command.prog
        for argument in arguments(command):
            assert argument.help, f"{command.prog}: {argument.dest} has no help"


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_pages_are_formatted_without_a_warning(page: Path, formatter: str) -> None:
    if shutil.which(formatter) is None:
        pytest.skip(f"{formatter} is not installed")
    command = [*FORMATTERS[formatter], str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    said = done.stdout if formatter == "mandoc" else done.stderr
    # A date would be stale by the next day, or make every page so.
    assert [line for line in said.splitlines() if "missing date" not in line] == []


def test_the_manual_tells_of_every_command_and_every_step() -> None:
    command_page, config_page = (
        TEXTS[REPOSITORY / "deploy/man" / name] for name in ("darkroom.1", "darkroom-config.5")
    )
    for command in commands(parser()):
        assert f'.SS "{command.prog}"' in command_page
    for name, operator in operators().items():
        section = config_page.split(f'.SS "{name}"\n')[1].split("\n.S")[0]
        for parameter in operator.parameters:
            assert f".TP\n\\fB{parameter}\\fR\n" in section, f"{name}: {parameter}"


def test_every_manual_page_is_installed() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    declared = project["tool"]["setuptools"]["data-files"]
    assert {f"share/man/man{page.suffix[1:]}": [str(page.relative_to(REPOSITORY))] for page in PAGES} == declared


@pytest.mark.parametrize("name", list(operators()))
def test_tables_of_parameters_have_the_bounds_and_defaults_of_the_code(name: str) -> None:
    """They are written by hand, with more in them than the code has."""
    page = (REPOSITORY / "docs" / "operators.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*) \|$", page.split(f"## {name}\n")[1].split("\n## ")[0], re.MULTILINE)
    for parameter, kind in operators()[name].parameters.items():
        (row,) = (row for row in rows if f"`{parameter}`" in row.split(" | ")[0])
        default = row.split(" | ")[-1].replace("`", "")
        if isinstance(kind, Integer | Number) and kind.low != kind.high:
            assert re.sub(r"^odd, ", "", kind.range).replace("1e-05", "0.00001") in row, parameter
        if kind.default is REQUIRED:
            assert default == "required", parameter
        elif kind.default is not None:
            assert re.search(rf"(?<![\w.]){re.escape(plain(kind.default))}(?![\w.])", default), parameter
