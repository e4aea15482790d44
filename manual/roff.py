"""The few words of troff's man macros that the pages need, in plain ASCII: every formatter reads that alike."""

from __future__ import annotations

import re

_CODE = re.compile(r"`([^`]+)`")


def plain(text: str) -> str:
    """Text as it stands: no sign of it is a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    ascii_only = "".join(sign if sign.isascii() else f"\\[u{ord(sign):04X}]" for sign in escaped)
    return re.sub(r"^(?=[.'])", r"\\&", ascii_only, flags=re.MULTILINE)


def prose(text: str) -> str:
    """Text in which `code` is bold; an empty line begins a paragraph."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n.PP\n".join(_marked(part) for part in paragraphs)


def bold(text: str) -> str:
    """Bold text."""
    return f"\\fB{plain(text)}\\fR"


def italic(text: str) -> str:
    """Text that stands for other text."""
    return f"\\fI{plain(text)}\\fR"


def title(name: str, section: int, version: str, book: str) -> str:
    """The head of a page. No word is broken: names of keys and files are not English."""
    return f'.TH {name.upper()} {section} "" "darkroom {version}" "{book}"\n.nh\n.ad l'


def name(page: str, text: str) -> str:
    """The section that `apropos` reads."""
    return f"{heading('NAME')}\n{plain(page)} \\- {plain(text)}"


def heading(text: str) -> str:
    """The head of a section."""
    return f'.SH "{plain(text)}"'


def subheading(text: str) -> str:
    """The head of a part of a section."""
    return f'.SS "{plain(text)}"'


def item(term: str, text: str) -> str:
    """A term, which is marked up already, and what it means, in prose."""
    return f".TP\n{term}\n{prose(text).replace('.PP', '.IP')}"


def example(text: str) -> str:
    """Lines as they are, indented."""
    return f".RS 4\n.nf\n{plain(text.strip(chr(10)))}\n.fi\n.RE"


def _marked(text: str) -> str:
    found = _CODE.split(text)
    marked = "".join(bold(part) if index % 2 else plain(part) for index, part in enumerate(found))
    return re.sub(r"^(?=[.'])", r"\\&", marked)
