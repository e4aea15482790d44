"""What a unit keeps from its service, as config.yaml did not ask for it when it was made: folders, and the network.

A write that is forbidden fails, and says so. Folders in homes, or in a /tmp, that were closed seem to be there and
empty: without a word, their pictures would never come. A name that cannot be looked up seems to be the network's fault.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.errors import install_again
from daemon.model import Rule
from daemon.unit.folders import HOMES, TEMPORARY, below

MOUNTS = Path("/proc/self/mountinfo")
IPV6 = Path("/proc/net/if_inet6")
"""It is there where the kernel has IPv6."""
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


def no_network() -> str:
    """Why hooks reach nobody, where it is the unit of this service that keeps the network from them; "" elsewhere."""
    again = install_again()
    # A unit with a metrics port, and no hook, has the first of them.
    families = [socket.AF_INET, *([socket.AF_INET6] if IPV6.exists() else [])]
    if not again or all(map(_allowed, families)):
        return ""
    return f"the network is closed to the service: config.yaml had no hook when the unit was made; {again}"


def _allowed(family: socket.AddressFamily) -> bool:
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as error:  # no descriptor is free, say
        return error.errno != errno.EAFNOSUPPORT
    return True
