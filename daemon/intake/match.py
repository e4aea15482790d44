"""Which files a rule takes. Pure functions of names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from functools import lru_cache

TEMPORARY_PREFIX = ".darkroom-"
IGNORED = (".*", "*.part", "*.crdownload", "*.tmp", "*~", ".~lock*", "Thumbs.db", "desktop.ini", "@eaDir")
"""Names never taken, files and folders alike: hidden, half downloaded, or left by editors and file managers."""


@lru_cache(maxsize=256)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs), re.IGNORECASE)


def ignored(name: str) -> bool:
    """Whether one component of a path is of a kind that is never taken."""
    return _pattern(IGNORED).match(name) is not None


def matches(globs: Sequence[str], relative: str) -> bool:
    """Whether a path below the watched folder matches; case does not count, since cameras write `.JPG`.

    A glob with a slash is held against the whole relative path, any other against the name.
    """
    plain, deep = _patterns(tuple(globs))
    name = relative.rpartition("/")[2]
    return bool((plain and plain.match(name)) or (deep and deep.match(relative)))


@lru_cache(maxsize=256)
def _patterns(globs: tuple[str, ...]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """One for names, one for whole paths; None where no glob is of that kind."""
    plain = tuple(glob for glob in globs if "/" not in glob)
    deep = tuple(glob for glob in globs if "/" in glob)
    return _pattern(plain) if plain else None, _pattern(deep) if deep else None
