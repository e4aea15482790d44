"""What the service manager is told, by the protocol of sd_notify(3): lines `NAME=value` in a datagram."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping

SEND_WITHIN = 2.0
"""Seconds to wait for a manager whose queue is full."""


class Notifier:
    """Speaks to the manager that started this process; to nobody where there is none.

    `watchdog` is the seconds within which it wants to hear that work goes on, None: it does not ask. `complain` gets
    a line where it cannot be reached.
    """

    def __init__(self, complain: Callable[[str], None], environment: MutableMapping[str, str] = os.environ) -> None:
        self._complain = complain
        # Taken out of the environment: our children are not who the manager listens to.
        self._address = environment.pop("NOTIFY_SOCKET", "")
        limit = int(environment.pop("WATCHDOG_USEC", "0"))
        meant = int(environment.pop("WATCHDOG_PID", "0")) in (0, os.getpid())
        self.watchdog = limit / 1e6 if limit and meant and self._address else None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if self._address else None
        if self._socket is not None:
            self._socket.settimeout(SEND_WITHIN)

    @property
    def heard(self) -> bool:
        """Whether a manager listens."""
        return self._socket is not None

    def starting(self, what: str, within: float) -> None:
        """The start goes on with `what`, and is to be waited for so many seconds more."""
        self._send(f"STATUS=starting: {what}", f"EXTEND_TIMEOUT_USEC={within * 1e6:.0f}")

    def ready(self) -> None:
        """The start, or a reload, is over: folders are watched."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` says that it was."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Work goes on."""
        self._send("WATCHDOG=1")

    def stuck(self) -> None:
        """It does not and will not: the manager is to end this process now, and to start it anew."""
        self._send("WATCHDOG=trigger")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", "STATUS=stopping")

    def close(self) -> None:
        """Say no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        # A leading @ stands for the NUL with which names outside the file system begin.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(text.encode(errors="backslashreplace"), address)
        except OSError as error:  # TimeoutError too
            self._complain(f"{self._address}: the service manager cannot be told anything ({error.strerror or error})")
