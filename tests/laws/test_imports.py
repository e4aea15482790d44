"""The laws of the house that can be read off the imports."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from daemon.cli import FAMILIES, parser

REPOSITORY = Path(__file__).parents[2]
FLOORS = {"kernels": set[str](), "export": {"kernels"}, "daemon": {"kernels", "export"}}
"""Which floors each may use. Nothing points up."""

CHILD = {"daemon/tasks/worker.py", "daemon/tasks/running.py", "daemon/tasks/checkpoint.py", "daemon/tasks/memory.py"}
"""What runs in a task's own process."""

ROOMS = {
    "torch": {
        "kernels/backend.py",
        "kernels/features/convolution.py",
        "export/graph.py",
        "export/build.py",
        "export/parity.py",
        *CHILD,
    },
    "safetensors": {"daemon/tasks/checkpoint.py", "kernels/features/"},
    "scipy": {"kernels/features/"},
    "onnx": {"export/graph.py", "export/build.py", "export/parity.py", "export/probe.py", "export/anatomy.py"},
    "onnxruntime": {"daemon/runtime/", "export/parity.py"},
    "sqlite3": {"daemon/ledger/"},
    "pydantic": {"daemon/config/"},
    "pydantic_core": {"daemon/config/"},
    "yaml": {"daemon/config/", "daemon/oneshot.py"},
    "cv2": {"daemon/codec/"},
    "simplejpeg": {"daemon/codec/"},
    "PIL": {"daemon/codec/"},
    "watchdog": {"daemon/intake/watch.py"},
    "prometheus_client": {"daemon/metrics/"},
    "rich": {"daemon/journal/display.py"},
    "jinja2": {"daemon/report/"},
    "argparse": {"daemon/cli/"},
    "shtab": {"daemon/cli/"},
    "manual": set[str](),  # what writes the documentation is needed by nothing that runs
}
"""Each library is known to these rooms only; a folder stands for everything in it."""

SOURCES = sorted(path for floor in FLOORS for path in (REPOSITORY / floor).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports anywhere, except under TYPE_CHECKING (types cost nothing)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(REPOSITORY)) for path in SOURCES])
def test_a_file_knows_only_what_its_room_may(path: Path) -> None:
    name = str(path.relative_to(REPOSITORY))
    floor = name.partition("/")[0]
    for module in imported(path):
        assert module not in FLOORS.keys() - FLOORS[floor] - {floor}, f"{name} imports {module}: that points up"
        rooms = ROOMS.get(module)
        allowed = rooms is None or any(name == room or (room[-1] == "/" and name.startswith(room)) for room in rooms)
        assert allowed, f"{name} imports {module}, which only {sorted(rooms or ())} may"


@pytest.mark.parametrize(
    "module",
    [
        *(
            "daemon.service",
            "daemon.cli",
            "daemon.config",
            "daemon.asking.why",
            "daemon.weights.weights",
            "daemon.weights.fetching",
        ),
        *("daemon.config.schema", "daemon.cli.completion"),
        *("kernels.mosaic", "kernels.features.store", "kernels.features.formats"),
    ],
)
def test_importing_it_loads_no_torch(module: str) -> None:
    script = f"import sys, {module}; from kernels.spec import operators; operators(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)


def test_only_the_ledger_changes_a_state() -> None:
    for path in SOURCES:
        if path.parent.name != "ledger":
            text = path.read_text(encoding="utf-8")
            assert "UPDATE jobs" not in text and "INSERT INTO jobs" not in text, path


def test_every_data_file_is_installed() -> None:
    """A file beside the modules that is not Python is left out of an installed darkroom unless it is declared."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    declared = project["tool"]["setuptools"]["package-data"]
    found = {
        path
        for package, globs in declared.items()
        for glob in globs
        for path in REPOSITORY.joinpath(*package.split(".")).glob(glob)
    }
    for floor in FLOORS:
        for path in (REPOSITORY / floor).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert path in found, f"pyproject.toml: [tool.setuptools.package-data] does not declare {path}"


def test_every_package_is_installed() -> None:
    """A folder with Python in it that pyproject.toml forgets would be missing from an installed darkroom."""
    declared = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    for package in sorted({str(path.parent.relative_to(REPOSITORY)).replace("/", ".") for path in SOURCES}):
        assert f'"{package}"' in declared, package


def commands_of(words: list[str]) -> set[str]:
    (group,) = [action for action in parser(words)._actions if isinstance(action, argparse._SubParsersAction)]
    return set(group.choices)


def test_each_command_is_found_in_the_file_that_has_it() -> None:
    """Only that file is loaded to answer; one that the table does not name would not be there at all."""
    for known in FAMILIES.values():
        for command in known:
            assert commands_of([command]) == commands_of(["--debug", command]) == set(known)
    every = {command for known in FAMILIES.values() for command in known}
    assert commands_of([]) == commands_of(["--help"]) == commands_of(["stauts"]) == every


PRINTING = {"daemon/shown.py", "daemon/cli/words.py", "daemon/cli/describing.py", "daemon/cli/service.py"}
"""Lines for people, and what programs read: JSON, scripts, units."""


def test_what_people_read_is_printed_in_one_place() -> None:
    """`daemon.shown.say` has names as escapes; a bare print would have them act on a terminal."""
    counts_megabytes = "daemon/weights/fetching.py"
    for path in SOURCES:
        name = str(path.relative_to(REPOSITORY))
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        prints = any(isinstance(called, ast.Name) and called.id == "print" for called in calls)
        assert not prints or name.startswith("export/") or name in PRINTING | {counts_megabytes}, name
