"""Whom hooks tell: a program that writes down what it was given, and a server that does."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.box import Box, wait_until

RECORD = """
import base64, json, os, sys, time
encoded = [base64.b64encode(os.fsencode(word)).decode() for word in sys.argv[2:]]
event = json.load(sys.stdin)
environment = {k.decode(): base64.b64encode(v).decode() for k, v in os.environb.items()}
told = {"words": encoded, "event": event, "environment": environment, "folder": os.getcwd()}
name = f"{sys.argv[1]}/{time.monotonic_ns()}-{os.getpid()}"
with open(name + ".part", "w") as file:
    json.dump(told, file)
os.rename(name + ".part", name + ".json")
"""


class Listener:
    """A program for `command:` that leaves a file for each time it was started."""

    def __init__(self, box: Box, name: str = "heard") -> None:
        self.folder = box.folder / name
        self.folder.mkdir()
        (box.folder / "record.py").write_text(RECORD)
        self.command = [sys.executable, "record.py", name]

    def words(self, *more: str) -> str:
        """As YAML, with further words."""
        return json.dumps([*self.command, *more])

    @property
    def heard(self) -> list[dict[str, Any]]:
        """All that it was told, oldest first."""
        return [_decoded(json.loads(path.read_text())) for path in sorted(self.folder.glob("*.json"))]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [each["event"] for each in self.heard]

    def wait(self, times: int = 1, timeout: float = 30.0) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.heard) >= times, timeout, f"{times} hooks")
        return self.heard


def _decoded(told: dict[str, Any]) -> dict[str, Any]:
    words = [base64.b64decode(word) for word in told["words"]]
    environment = {name: base64.b64decode(value) for name, value in told["environment"].items()}
    return told | {"words": words, "environment": environment}


class Server:
    """An HTTP server on the loopback: keeps what it was sent, and answers as it is told to."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.go_on = threading.Event()
        self.go_on.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append({"path": self.path, "headers": dict(self.headers), "event": json.loads(body)})
                outer.go_on.wait(60)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.server.shutdown()
        thread.join()
        server.server.server_close()


def running(marker: str) -> list[int]:
    """Processes whose command line has this in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
