"""Which texts are generated, and what they should be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from daemon.cli.words import as_json
from daemon.config.schema import editor_schema
from manual import command_page, config_page
from manual.tables import table

REPOSITORY = Path(__file__).parents[1]
_TABLE = re.compile(r"(<!-- generated: (?P<words>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def texts() -> Mapping[Path, str]:
    """Every file that is generated, whole or in parts, with the text it should have."""
    pages = {path: with_tables(path.read_text(encoding="utf-8")) for path in sorted(REPOSITORY.glob("docs/*.md"))}
    man = REPOSITORY / "deploy" / "man"
    schema = as_json(editor_schema()) + "\n"
    return {
        **pages,
        REPOSITORY / "config.schema.json": schema,
        man / "darkroom.1": command_page.page(),
        man / "darkroom-config.5": config_page.page(),
    }


def with_tables(page: str) -> str:
    """A page with the tables between its markers made anew: `<!-- generated: rule preview trace -->`, `<!-- end -->`.

    The words are a mapping of config.yaml, then the keys that are wanted; none: all of them. Raises KeyError for a
    mapping or a key that does not exist.
    """

    def made(match: re.Match[str]) -> str:
        return f"{match.group(1)}\n{table(*match['words'].split())}\n\n{match.group(3)}"

    return _TABLE.sub(made, page)
