"""Text that is no YAML: what the parser says about it, in the words of someone who edits a file."""

from __future__ import annotations

import re

import yaml

from daemon.config.faults import Fault, Place, place_of

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class YamlError(Exception):
    """The text is no YAML that could be looked at further; `fault` says where and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text("yaml"))
        self.fault = fault


def check_printable(text: str) -> None:
    """Raise YamlError if the text holds a character that YAML does not admit."""
    if bad := _UNPRINTABLE.search(text):
        problem = f"the character U+{ord(bad.group()):04X} cannot stand in YAML"
        remedy = "delete it, or save the file again as UTF-8 text"
        raise YamlError(Fault(place_of(text, bad.start()), "yaml", problem, remedy))


def syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    """The fault that an error of the YAML parser is about."""
    said = " ".join(filter(None, (error.context, error.problem)))
    mark = error.problem_mark or error.context_mark
    here = _from(mark, text.split("\n"))
    for pattern, problem, remedy in _PLAIN_WORDS:
        if re.search(pattern, f"{said}|{here}"):
            # What is never closed is noticed at the end of the file; the place to look at is where it was opened.
            return Fault(_place(error.context_mark if "not closed" in problem else mark), "yaml", problem, remedy)
    return Fault(_place(mark), "yaml", f"this is not YAML ({said})", "mend the text at this place")


def _from(mark: yaml.Mark | None, lines: list[str]) -> str:
    """The text that the parser stopped at, to the end of its line; after `{stem}`, which it took for a mapping, with
    `{}` before it."""
    if mark is None or mark.line >= len(lines):
        return ""
    before, here = lines[mark.line][: mark.column], lines[mark.line][mark.column :]
    return f"{{}}{here}" if before.endswith("}") and here and here[0] not in ",]}" else here


def _place(mark: yaml.Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place()


# What the parser says (libyaml, or the one in Python), a bar, and the text it stopped at; then our words for it.
_PLAIN_WORDS = (
    (r"cannot start any token.*\|\t|tab character", "a tab stands here", "YAML is indented with spaces"),
    (r"cannot start any token", "text cannot start with this character", 'put the text in "quotes"'),
    (r"scanning an alias", "text that starts with * is an alias to YAML", 'put it in quotes: "*.jpg"'),
    (r"scanning an anchor", "text that starts with & is an anchor to YAML", "put it in quotes"),
    (r"escape|Unicode character", "this is no escape that YAML knows", "write two backslashes, or use 'single quotes'"),
    (r"quoted scalar", "a quote is opened and not closed", "close it with the same sign"),
    (r"mapping values are not allowed", "a colon where no key can stand", "indent like the line above, or use quotes"),
    (r"(block|node content|<document start>).*\|[\]}]", "a bracket is closed that was not opened", "remove it"),
    (
        r"(block|flow) (mapping|sequence).*\|\{\}",
        "text follows a closing }",
        'text that starts with { needs quotes: "{dir}/{stem}.{ext}"',
    ),
    (r"flow (mapping|sequence).*\|\{[^}]", "a colon or a comma is missing before the {", "write name: {key: value}"),
    (r"flow (mapping|sequence)", "a bracket is opened and not closed, or a comma is missing", "close it with } or ]"),
    (r"could not find expected ':'", "a key without a colon", "write it as key: value"),
    (r"expected key|expected '-' indicator|<block end>", "this does not fit what stands above it", "indent both alike"),
    (r"flow node.*\|$|flow node.*stream end", "a bracket is opened and not closed", "close it with } or ]"),
    (r"<document start>", "text follows the end of the configuration", "indent it like the lines above, or remove it"),
)
