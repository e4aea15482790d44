"""The documentation is true: its YAML is parsed, its links lead somewhere, every operator and key is described."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.cli import parser
from daemon.config import load_config
from kernels.chain import parse_chain
from kernels.spec import operators

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def snippets() -> list[Any]:
    return [
        pytest.param(match.group(1), id=f"{page.name}-{number}")
        for page in PAGES
        for number, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")))
    ]


def completed(text: str) -> str:
    """A snippet as a whole config.yaml: steps get a rule around them, rules a version, keys a rule of their own."""
    data = yaml.safe_load(text)
    if isinstance(data, dict) and "version" in data:
        return text
    shell: dict[str, Any] = {"version": 1}
    rule = {"name": "example", "watch": "in", "steps": ["grayscale"], "output": "out/{stem}.{ext}"}
    if isinstance(data, dict) and set(data) & {"rules", "runtime", "settle", "rescan", "state_dir", "log", "metrics"}:
        return yaml.safe_dump({**shell, "rules": [rule], **data})
    assert isinstance(data, dict), f"a snippet must be a mapping: {text}"
    return yaml.safe_dump({**shell, "rules": [{**rule, **data}]})


@pytest.mark.parametrize("text", snippets())
def test_yaml_is_parsed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(completed(text), encoding="utf-8")
    load_config(path)


def test_shipped_configuration_has_no_faults() -> None:
    assert load_config(REPOSITORY / "config.yaml").rules


@pytest.mark.parametrize("name", list(operators()))
def test_every_operator_is_documented(name: str) -> None:
    page = (REPOSITORY / "docs" / "operators.md").read_text(encoding="utf-8")
    assert f"## {name}" in page, f"add a '## {name}' section to docs/operators.md"
    section = page.split(f"## {name}\n")[1].split("\n## ")[0]
    for parameter in operators()[name].parameters:
        assert f"`{parameter}`" in section, f"docs/operators.md: {name} does not tell of {parameter}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page can be linked to as."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_dependency_is_explained_and_pinned() -> None:
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    page = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    pins = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").lower()
    for requirement in wanted:
        name = re.split(r"[<>=!~ ]", requirement)[0].lower()
        assert name in page, f"docs/dependencies.md does not say why {name} is here"
        assert f"\n{name}==" in pins, f"constraints.txt does not pin {name}"


def test_changelog_tells_of_this_version() -> None:
    declared = re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared and f"## {declared.group(1)}" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_steps_of_commands_are_parsed() -> None:
    # The pages on adding a step use one that is not there yet; they have tests of their own.
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES if not page.name.startswith("adding-"))
    found = re.findall(r"darkroom apply '(.+?)'", text)
    assert found
    for steps in found:
        parse_chain(yaml.safe_load(steps))


def test_every_room_is_in_the_architecture() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE))
    floors = {"kernels", "export", "daemon"}
    assert listed - floors == {path.parent.name for path in (REPOSITORY / "daemon").glob("*/__init__.py")}


def told_commands() -> list[str]:
    """Every line of a shell block that calls darkroom."""
    blocks = [block for page in PAGES for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)]
    return sorted(
        {line for block in blocks for line in block.splitlines() if re.match(r"(sudo )?\S*\bdarkroom ", line)}
    )


@pytest.mark.parametrize("line", told_commands())
def test_commands_are_understood(line: str) -> None:
    words = shlex.split(re.split(r" [>|] ", line)[0], comments=True)
    words = words[words.index(next(word for word in words if word.endswith("darkroom"))) + 1 :]
    parser(words).parse_args(words)
