"""The networks of style transfer: whose weights are here. None is a fault to be without: there is always one."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.doctor.values import Finding, note, ok
from daemon.weights import networks

AREA = "weights"


def examine() -> Iterator[Finding]:
    """One finding a network."""
    for network in networks():
        if network.problem:
            where = f"{network.path}: " if network.path else ""
            yield note(AREA, network.name, f"{where}{network.problem}", network.remedy)
        else:
            yield ok(AREA, network.name, f"{network.source}{f', at {network.path}' if network.path else ''}")
