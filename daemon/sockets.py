"""What every Unix socket of darkroom has: the same permissions, and a name that is never too long."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

MODE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP
"""For the daemon's user, and the group of the folder."""


def knock(family: socket.AddressFamily, address: str | tuple[str, int]) -> None:
    """End the wait of the thread that accepts there, by a connection that says nothing.

    For the end of the daemon, which the time-out of that wait would put off. Linux lets no wait on a listening Unix
    socket end otherwise: shutdown(2) does for TCP only. Where nobody can be reached, that time-out has to do.
    """
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.1)
        connection.connect(address)


@contextlib.contextmanager
def short(folder: Path) -> Iterator[str]:
    """A name for a folder that is never too long: that of a socket has 107 bytes at most (unix(7))."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
