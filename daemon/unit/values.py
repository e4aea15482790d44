"""What a unit is made from, beside config.yaml: whose it is, what runs it, and what its systemd knows."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DarkroomError

NAME = "darkroom"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
SYSTEM_UNITS = Path("/etc/systemd/system")
MADE_FROM = "# Made by `darkroom service install` from "
"""How a unit file begins; the path of its config.yaml follows."""


def own_home() -> Path:
    """Whose `~` is ours; that itself where a user has none, as in containers: unlike Path.home(), no error."""
    return Path(os.path.expanduser("~"))


def user_units(home: Path) -> Path:
    """Where the unit files of a user's own service manager lie."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user"


@dataclass(frozen=True, slots=True)
class Account:
    """The user a service works as. `exists` is False for one that `install` makes first; its numbers are -1 then."""

    name: str
    uid: int
    gid: int
    home: Path
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Host:
    """What the unit depends on besides the configuration.

    `version` is that of systemd; 0: not known. `cards`: whether there are NVIDIA cards. `python_path` is what
    PYTHONPATH adds to the installed packages. `namespaces`: whether users other than root may have a view of the file
    system of their own.
    """

    python: Path
    python_path: str
    version: int
    cards: bool
    namespaces: bool

    @classmethod
    def of_this_process(cls, version: int) -> Host:
        """The Python that runs now, with what it runs."""
        places = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        cards = Path("/dev/nvidiactl").exists()
        return cls(Path(sys.executable), os.pathsep.join(places), version, cards, _namespaces())


def _namespaces() -> bool:
    """As user_namespaces(7), Debian's kernel and Ubuntu's AppArmor have it."""
    wanted = {"user/max_user_namespaces": True, "kernel/unprivileged_userns_clone": True}
    wanted |= {"kernel/apparmor_restrict_unprivileged_userns": False}
    files = {Path("/proc/sys", name): on for name, on in wanted.items()}
    return all(bool(int(file.read_text())) is on for file, on in files.items() if file.exists())


@dataclass(frozen=True, slots=True)
class Service:
    """Which unit: its name, and the account of a service of the machine, or None for one of the user's own manager."""

    name: str
    account: Account | None
    home: Path

    @property
    def of_the_user(self) -> bool:
        """Whether it belongs to a user's own service manager."""
        return self.account is None

    @property
    def file(self) -> Path:
        """Where its unit file lies."""
        return (user_units(self.home) if self.of_the_user else SYSTEM_UNITS) / f"{self.name}.service"


def unit_name(text: str) -> str:
    """A name for a unit, without `.service`. Raises DarkroomError."""
    name = text.removesuffix(".service")
    if not _NAME.fullmatch(name) or name[0] in ".-":
        raise DarkroomError(f"--name {text}: no name for a unit; use letters, digits, -, _ and .")
    return name
