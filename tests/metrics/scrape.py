"""Asking a daemon for its metrics, as Prometheus does."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from daemon.sockets import short

PATIENCE = 10.0
"""Seconds that Prometheus waits, unless it is told otherwise."""


class Scrape:
    """One answer. `value(name, label=…)` is a sample's; None where there is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {each.name: each for each in text_string_to_metric_families(text)}
        self.samples = [sample for each in self.families.values() for sample in each.samples]

    def value(self, name: str, **labels: str) -> float | None:
        found = [sample.value for sample in self.samples if sample.name == name and sample.labels == labels]
        assert len(found) <= 1, found
        return found[0] if found else None

    def by(self, name: str) -> Mapping[tuple[str, ...], float]:
        """All samples of a name, by the values of their labels."""
        return {tuple(sample.labels.values()): sample.value for sample in self.samples if sample.name == name}


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def of_port(port: int) -> Scrape:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        return Scrape(answer.read().decode())


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        with short(self._path.parent) as folder:
            self.sock.connect(f"{folder}/{self._path.name}")


def of_socket(path: Path) -> Scrape:
    connection = _OverSocket(path)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        return Scrape(answer.read().decode())
    finally:
        connection.close()


def listening(pid: int) -> set[str]:
    """Where a process listens by TCP: addresses with ports, as hexadecimal numbers of the kernel's."""
    mine = set[str]()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            mine.add(str(each.readlink()))
        except OSError:  # closed since it was listed
            continue
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        if (table := Path(f"/proc/{pid}/net/{name}")).exists()
        for line in table.read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine}
