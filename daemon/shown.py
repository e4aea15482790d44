"""Words for people, on a terminal, in the journal and in notes: a file's name must not speak for darkroom.

A name may hold any byte but a slash: escapes that clear a terminal, newlines that make lines of their own, signs that
turn the direction of writing round. They are shown as escapes, and so is what is not text at all. What programs read
(JSON, the ledger, what a hook gets) has names as they are.
"""

from __future__ import annotations

import os
import re
import shlex
import sys

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0, DEL and C1; the separators of lines and paragraphs; whatever Unicode calls Bidi_Control; lone surrogates."""


def shown(text: str) -> str:
    """One line as it can be read by people: what would not be seen, or would do something, as Python writes it."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(*lines: object, error: bool = False) -> None:
    """Print lines, each `shown`; `error`: on standard error. Raises OSError."""
    print(*(shown(str(line)) for line in lines), sep="\n", file=sys.stderr if error else sys.stdout)


def quoted(path: str) -> str:
    """A path as a word for a shell, in one line whatever is in it: bash, zsh, ksh and POSIX 2024 know $'...'."""
    if not _UNSEEN.search(path):
        return shlex.quote(path)
    word = path.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _UNSEEN.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in os.fsencode(found[0])), word) + "'"
