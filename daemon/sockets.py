"""What every Unix socket of darkroom has: the same permissions, and a name that is never too long."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

MODE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP
"""For the daemon's user, and the group of the folder."""


@contextlib.contextmanager
def short(folder: Path) -> Iterator[str]:
    """A name for a folder that is never too long: that of a socket has 107 bytes at most (unix(7))."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
