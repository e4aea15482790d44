"""The folders that the service may write: those that config.yaml names, and no others."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import daemon
import export
import kernels
from daemon.model import Config, Rule

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What systemd's ProtectHome= is about."""
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
"""And its PrivateTmp=."""


@dataclass(frozen=True, slots=True)
class Folders:
    """`written` by the service; `opened` are those of them that lie inside no other; `read_only` lies inside these and
    is not to be written all the same; `named` is every folder that is read from or written to."""

    written: tuple[Path, ...]
    opened: tuple[Path, ...]
    read_only: tuple[Path, ...]
    named: tuple[Path, ...]


def folders_of(config: Config, home: Path) -> Folders:
    """The folders of a configuration. `home` is that of the service's user."""
    rules = [folder for rule in config.rules for folder in _written_by(rule)]
    sockets = [config.metrics.socket.parent] if config.metrics.socket else []
    written = tuple(dict.fromkeys([config.state_dir, *sockets, *rules, *_beside(config.path, home)]))
    opened = _outermost(written)
    guarded = [config.path, *code()]
    watched = [folder for rule in config.rules for folder in rule.watch]
    return Folders(
        written,
        opened,
        tuple(path for path in guarded if any(path.is_relative_to(folder) for folder in opened)),
        tuple(dict.fromkeys([config.state_dir, *sockets, *watched, *rules])),
    )


def _written_by(rule: Rule) -> Iterable[Path]:
    yield from map(Path, sorted(rule.folders))
    if rule.source.to is not None:
        yield Path(rule.source.to.folder)
    if not rule.keeps_source:  # a file is taken out of them
        yield from rule.watch


def _beside(config: Path, home: Path) -> list[Path]:
    """The folder of config.yaml, where config.error.txt is written; not one that holds much besides.

    That is a home folder, and anything right below `/`, such as `/etc`.
    """
    folder = config.parent
    return [] if folder == home or len(folder.parts) <= 2 else [folder]


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without those that lie inside another: each would be a mount of its own, and a rename from one mount to the
    next is a copy."""
    found = sorted(set(paths))
    return tuple(path for path in found if not any(other in path.parents for other in found))


def code() -> Sequence[Path]:
    """Where the service's own code lies, Python included."""
    packages = [Path(place) for package in (daemon, export, kernels) for place in package.__path__]
    return [Path(sys.prefix), Path(sys.base_prefix), *packages]


def below(places: Sequence[Path], paths: Iterable[Path]) -> bool:
    """Whether any of the paths lies in one of the places, by its name or where links lead."""
    return any(path.is_relative_to(place) for each in paths for path in (each, each.resolve()) for place in places)
