"""Where the metrics are asked for: a port of the loopback interface, or a Unix socket. Plain HTTP.

One asker at a time, each for a moment: Prometheus asks every few seconds, and an answer takes a few milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import socketserver
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, MetricsHandler, ProcessCollector
from prometheus_client.registry import Collector

from daemon.errors import DarkroomError, accepting_failed, install_again
from daemon.folders import make_folder
from daemon.options import MetricsOptions
from daemon.sockets import MODE, knock, short

log = logging.getLogger("darkroom")

LOOPBACK = "127.0.0.1"
AGAIN = 5.0
"""Seconds until a place that could not be had is tried again."""
LOOK = 0.5
"""Seconds between two looks at whether to stop."""
PATIENCE = 2.0
"""Seconds that an asker is waited for."""
LONGEST = 5.0
"""Seconds that an asker gets altogether: one that sends a byte now and then is always in time for its next."""

_REMEDIES = {
    errno.EADDRINUSE: "stop the program that listens there, or choose another place",
    errno.EACCES: "give the daemon's user permission, or choose another place (ports below 1024 are for root)",
    errno.EEXIST: "move it away, or choose another place",
}


class Listener:
    """Answers whoever asks there. A place that cannot be had is told of once, and tried again: it may be that of a
    darkroom that is just ending."""

    def __init__(self, options: MetricsOptions, tell: Callable[[str], None]) -> None:
        self._options = options
        self._registry = CollectorRegistry(support_collectors_without_names=True)
        self._registry.register(ProcessCollector(registry=None))
        self._handler: Any = type("Handler", (MetricsHandler,), {"registry": self._registry, "timeout": PATIENCE})
        self._tell = tell
        self._told = ""
        self._server: _Briefly | None = None
        self._inode = 0

    def answer_with(self, collector: Collector) -> None:
        """Tell these metrics too; those of the process are told in any case."""
        self._registry.register(collector)

    def open(self) -> None:
        """Listen, if that can be; the work goes on without."""
        try:
            self._server = self._listening()
            self._say(f"metrics: {self._place}")
        except OSError as error:
            remedy = _remedy(error)
            self._trouble(f"{self._place}: {error.strerror or error}; {remedy}")
        except DarkroomError as error:
            self._trouble(str(error))

    @property
    def _place(self) -> str:
        return str(self._options.socket or f"http://{LOOPBACK}:{self._options.port}/metrics")

    def _trouble(self, what: str) -> None:
        self._say(f"metrics: {what}; it is tried again every {AGAIN:g} s, and the work goes on without")

    def _say(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._tell(line)

    def _listening(self) -> _Briefly:
        if self._options.port is not None:
            return _OnPort((LOOPBACK, self._options.port), self._handler)
        assert self._options.socket is not None
        return self._on_socket(self._options.socket)

    def _on_socket(self, path: Path) -> _Briefly:
        make_folder(path.parent)
        with short(path.parent) as folder:
            name = f"{folder}/{path.name}"
            _clear(name)
            server = _OnSocket(name, self._handler, bind_and_activate=False)
            try:
                server.server_bind()
                os.chmod(name, MODE)
                self._inode = os.lstat(name).st_ino
                server.server_activate()  # only now can anybody connect
            except OSError:
                server.server_close()
                raise
        return server

    def run(self, stop: threading.Event) -> None:
        """Answer until `stop` is set."""
        while not stop.is_set():
            if self._server is not None:
                self._server.handle_request()
                self._wait_if_refused(self._server, stop)
            elif not stop.wait(AGAIN):
                self.open()

    def _wait_if_refused(self, server: _Briefly, stop: threading.Event) -> None:
        if server.trouble is not None:
            self._say(f"metrics: {accepting_failed(self._place, server.trouble)}")
            server.trouble = None
            stop.wait(LOOK)

    def wake(self) -> None:
        """End the current wait for somebody who asks."""
        if self._options.port is not None:
            knock(socket.AF_INET, (LOOPBACK, self._options.port))
        elif (path := self._options.socket) is not None:
            with contextlib.suppress(OSError), short(path.parent) as folder:
                knock(socket.AF_UNIX, f"{folder}/{path.name}")

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.server_close()
        if self._inode and self._options.socket is not None:
            with contextlib.suppress(OSError):  # it is gone already
                if os.lstat(self._options.socket).st_ino == self._inode:
                    self._options.socket.unlink()


def _remedy(error: OSError) -> str:
    if error.errno == errno.EAFNOSUPPORT and (again := install_again()):
        return f"config.yaml had no port when the unit was made: {again}"
    return _REMEDIES.get(error.errno or 0, "choose another place")


class _Briefly(socketserver.TCPServer):
    """Waits a moment for an asker, and is not upset by one that goes away. `trouble`: why one could not be let in."""

    timeout: float | None = LOOK
    request_queue_size = 8
    trouble: OSError | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:  # the server forgets it, and would be called again at once
            self.trouble = error
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        cut = threading.Timer(LONGEST, _hang_up, [request])
        cut.start()
        try:
            super().finish_request(request, client_address)
        finally:
            cut.cancel()
            cut.join()

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("internal error with the metrics", exc_info=error)


def _hang_up(asker: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it went away by itself
        asker.shutdown(socket.SHUT_RDWR)


class _OnPort(_Briefly):
    allow_reuse_address = True


class _OnSocket(_Briefly, socketserver.UnixStreamServer):
    pass


def _clear(name: str) -> None:
    """Remove the socket of a program that was killed. Raises OSError for anything else that is there."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(name).st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is no socket stands there")
        if _somebody_listens(name):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        os.unlink(name)


def _somebody_listens(name: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.settimeout(PATIENCE)
        try:
            asker.connect(name)
        except ConnectionRefusedError:
            return False
        except OSError:  # it is full, or not ours to ask
            return True
    return True
