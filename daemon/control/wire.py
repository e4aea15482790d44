"""What both ends of the socket agree on: where it lies, and lines of JSON."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

SOCKET = "control.sock"
PATIENCE = 2.0
"""Seconds that one side waits for the other, unless it is told of a longer answer."""
LONGEST = 1 << 26
"""Bytes of a line, at most: of an answer about many rules with very long names."""


def send(connection: socket.socket, value: Mapping[str, Any]) -> None:
    """One line."""
    connection.sendall(json.dumps(value).encode() + b"\n")


def receive(connection: socket.socket, deadline: float, longest: int = LONGEST) -> dict[str, Any]:
    """One line, all of it by the deadline. Raises ValueError for anything that is no JSON mapping, and OSError."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= longest:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        if not (more := connection.recv(1 << 16)):
            break
        line += more
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    return found
