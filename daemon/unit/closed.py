"""Folders that a unit keeps from its service: they lie in homes, or in a /tmp, that were closed when it was made.

A write that is forbidden fails, and says so. These seem to be there and empty: without a word, their pictures would
never come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.errors import install_again
from daemon.model import Rule
from daemon.unit.folders import HOMES, TEMPORARY, below

MOUNTS = Path("/proc/self/mountinfo")
_SIGNS = ("/systemd-private-", "/inaccessible/")
"""In the root of a mount that systemd made for PrivateTmp= and for ProtectHome=."""


def closed(rules: Iterable[Rule], mounts: Path = MOUNTS) -> dict[str, str]:
    """By rule, a line about a folder of it that is closed to this process. Nothing is, where it is no service."""
    again = install_again()
    places = list(_closed_places(mounts)) if again else []
    found = dict[str, str]()
    for rule in rules:
        if (folder := next((each for each in _folders(rule) if below(places, [each])), None)) is not None:
            what = "closed to the service: config.yaml did not name it when the unit was made"
            found[rule.name] = f"{folder}: {what}; {again}"
    return found


def _closed_places(mounts: Path) -> Iterator[Path]:
    try:
        told = mounts.read_text(errors="surrogateescape")
    except OSError:  # no descriptor is free, say; whoever writes there is told in any case
        return
    for line in told.splitlines():
        root, place = line.split()[3:5]
        if any(sign in f"{root}/" for sign in _SIGNS) and Path(place) in (*HOMES, *TEMPORARY):
            yield Path(place)


def _folders(rule: Rule) -> Iterator[Path]:
    yield from rule.watch
    yield from map(Path, sorted(rule.folders))
    yield from (each.fixed for each in rule.inputs if each.fixed is not None)
    if rule.source.to is not None:
        yield Path(rule.source.to.folder)
