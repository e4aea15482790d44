"""The service manager, spoken to through `systemctl`."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.unit.values import Service

BOOTED = Path("/run/systemd/system")
"""It is there where systemd runs the machine (sd_booted(3))."""


def version() -> int:
    """The version of systemd that is installed; 0 where there is none."""
    try:
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    found = re.match(r"systemd (\d+)", said)
    return int(found[1]) if found else 0


def refuse_without(service: Service) -> None:
    """Raises DarkroomError where there is no manager to talk to, or no right to."""
    if not BOOTED.is_dir():
        raise DarkroomError(
            "systemd does not run here; have `darkroom run` started by the supervisor that does, "
            "or write the unit for another machine with --no-start"
        )
    if service.of_the_user and "XDG_RUNTIME_DIR" not in os.environ:
        raise DarkroomError(
            "your own service manager cannot be reached (XDG_RUNTIME_DIR is not set); "
            "log in as this user rather than through su or sudo"
        )


class Manager:
    """Acts on one unit. Every method raises DarkroomError with what systemctl said."""

    def __init__(self, service: Service) -> None:
        self._unit = f"{service.name}.service"
        self._words = ["systemctl", "--user"] if service.of_the_user else ["systemctl"]

    @property
    def active(self) -> bool:
        """Whether it runs, or is about to."""
        return self._ask("is-active") in ("active", "activating", "reloading")

    def read_units(self) -> None:
        """Let the manager read unit files again."""
        self._do("daemon-reload")

    def enable(self) -> None:
        """Start it with the machine, or with the user's session."""
        self._do("enable", "--quiet", self._unit)

    def start(self) -> None:
        """Start it anew, and wait until it is ready."""
        self._do("reset-failed", self._unit, check=False)
        self._do("restart", self._unit)

    def disable(self) -> None:
        """Stop it and start it no more."""
        self._do("disable", "--quiet", "--now", self._unit)

    def forget(self) -> None:
        """Leave no trace of a unit whose file is gone."""
        self.read_units()
        self._do("reset-failed", self._unit, check=False)

    def _ask(self, what: str) -> str:
        return self._run(what, self._unit).stdout.strip()

    def _do(self, *words: str, check: bool = True) -> None:
        done = self._run(*words)
        if check and done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
            journal = "journalctl --user" if "--user" in self._words else "journalctl"
            what = f"{' '.join([*self._words, *words])}: {said[0].rstrip('.')}"
            raise DarkroomError(f"{what}; see `{journal} -eu {self._unit}`")

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._words, *words], capture_output=True, text=True, check=False)
