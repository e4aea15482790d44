"""`darkroom doctor`: what this machine can do, tried out, and the command that mends what it cannot.

Every area is imported when it is looked at: a package that is missing costs its own areas, and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.doctor import packages
from daemon.doctor.values import Finding, Report, State, fault, note, ok
from daemon.errors import ConfigError
from daemon.version import darkroom_version

if TYPE_CHECKING:
    from daemon.model import Config

__all__ = ["Finding", "Report", "State", "examine"]

AREA = "configuration"


def examine(path: Path | None) -> Report:
    """Look at everything. `path` is the config.yaml to check; None: the one here, if there is one.

    A configuration with faults does not keep the machine from being looked at.
    """
    chosen = path or Path("config.yaml")
    findings = list[Finding]()
    config = None
    if path is None and not chosen.exists():
        findings.append(
            note(AREA, "", "there is no config.yaml here: only the machine is looked at", "name one with -c")
        )
    else:
        config = _read(chosen, findings)
    findings += _examined(config)
    return Report(darkroom_version(), str(chosen) if config or path else None, findings)


def _read(path: Path, findings: list[Finding]) -> Config | None:
    try:
        from daemon.config import load_config

        config = load_config(path)
    except ImportError as error:
        findings.append(packages.not_importable(AREA, error))
        return None
    except ConfigError as error:
        findings += [fault(AREA, "", *_halves(line)) for line in error.faults]
        return None
    findings.append(ok(AREA, str(path), f"{len(config.rules)} rules, no faults"))
    return config


def _halves(line: str) -> tuple[str, str]:
    detail, _, remedy = line.rpartition("; ")
    return (detail, remedy) if detail else (line, "`darkroom check` tells more")


def _examined(config: Config | None) -> Iterator[Finding]:
    yield from _area("devices", "devices", config)
    yield from _area("tasks", "tasks", config)
    yield from _area("formats", "codecs")
    if config is not None:
        yield from _area("folders", "folders", config)
        yield from _area("hooks", "hooks", config)
    yield from _area("inotify", "machine", config)
    yield from packages.examine()
    yield from _area("weights", "weights", config)


def _area(area: str, module: str, *given: Config | None) -> Iterator[Finding]:
    try:
        yield from importlib.import_module(f"daemon.doctor.{module}").examine(*given)
    except ImportError as error:  # now, or where the area looked further
        yield packages.not_importable(area, error)
