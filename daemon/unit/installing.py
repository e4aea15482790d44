"""`darkroom service`: the unit shown, put in its place and started, stopped and taken away."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

from daemon.config import load_config
from daemon.errors import DarkroomError, install_command
from daemon.model import Config
from daemon.unit import account, manager, preparing, stamp
from daemon.unit.folders import folders_of
from daemon.unit.manager import Manager
from daemon.unit.text import unit_text
from daemon.unit.values import NAME, Host, Service, own_home, unit_name

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for. `run_as` is the account of a service of the machine; None: the one that fits.

    `start`: whether `install` starts it, too.
    """

    config: Path
    name: str
    of_the_user: bool
    run_as: str | None = None
    start: bool = True

    def service(self) -> Service:
        """Which unit that is. Raises DarkroomError."""
        name = unit_name(self.name)
        if self.of_the_user:
            if self.run_as is not None:
                raise DarkroomError("--run-as: a service of --user works as that user; leave one of the two out")
            if not (home := own_home()).is_absolute():
                raise DarkroomError(
                    "this user has no home, and so no services of its own; leave --user out, or set HOME"
                )
            return Service(name, None, home)
        here = stamp.find(Service(name, account.NOBODY, own_home()).file)
        # An editor that root runs may leave the file to root: a service that is there keeps its user.
        before = here.user if here is not None and here.config == os.path.abspath(self.config) else None
        found = account.account_of(self.config, self.run_as or before)
        return Service(name, found, found.home)


def show(wish: Wish) -> str:
    """The unit file that `install` would write. Raises DarkroomError; ConfigError for a configuration with faults."""
    service = wish.service()
    return _made(_loaded(wish, service), service)


def install(wish: Wish, tell: Tell) -> None:
    """Write the unit, and if that is wished enable it and wait until it is ready. Raises as `show` does."""
    _refuse_others(wish, "install")
    service = wish.service()
    if wish.start:
        manager.refuse_without(service)
    config = _loaded(wish, service)
    _refuse_to_overwrite(service, config)
    service = _prepared(config, service, tell)
    changed = _write(config, service, tell)
    if wish.start:
        _start(service, tell, changed=changed)
    _tell_on(service, tell, start=wish.start)


def uninstall(wish: Wish, tell: Tell) -> None:
    """Stop the service and remove its unit; pictures, state_dir and config.yaml stay. Raises DarkroomError."""
    _refuse_others(wish, "uninstall")
    service = Service(unit_name(wish.name), None if wish.of_the_user else account.NOBODY, own_home())
    found = stamp.find(service.file)
    if found is None:
        raise DarkroomError(f"{service.file}: there is no such unit; say which one with --name, or --user")
    _refuse_edited(service, found)
    _refuse_of_another(wish, service, found)
    manager.refuse_without(service)
    told = Manager(service)
    told.disable()
    service.file.unlink()
    told.forget()
    tell(f"{service.name} is stopped, and {service.file} is removed")
    if (drop_ins := service.file.with_name(f"{service.file.name}.d")).exists():
        tell(f"your drop-ins stay: {drop_ins}")
    tell(f"pictures and state_dir stay as they are, and so does {found.config}")


# -- parts -------------------------------------------------------------------------------------------------------


def _loaded(wish: Wish, service: Service) -> Config:
    with account.home_of(service.account):
        return load_config(wish.config)


def _made(config: Config, service: Service) -> str:
    return stamp.stamped(unit_text(config, service, Host.of_this_process(manager.version())), service.name, config.path)


def _refuse_others(wish: Wish, action: str) -> None:
    """Units of the machine are root's to write."""
    if not wish.of_the_user and os.geteuid() != 0:
        # -P: nothing is taken from the folder where root calls it.
        words = ["sudo", sys.executable, "-P", "-m", "daemon.cli", "service", action]
        words += ["-c", os.path.abspath(wish.config)]
        words += ["--name", wish.name] if wish.name != NAME else []
        words += ["--run-as", wish.run_as] if wish.run_as is not None else []
        words += [] if wish.start else ["--no-start"]
        raise DarkroomError(f"services of the machine are root's: `{join(words)}`, or --user for one of your own")


def _refuse_to_overwrite(service: Service, config: Config) -> None:
    found = stamp.find(service.file)
    if found is None:
        return
    if found.config and found.config != str(config.path):
        other = f"{service.file} is the service of {found.config}"
        raise DarkroomError(f"{other}; give this one a name of its own with --name, or uninstall the other")
    _refuse_edited(service, found)


def _refuse_edited(service: Service, found: stamp.Found) -> None:
    if not found.config:
        raise DarkroomError(f"{service.file} was not made by darkroom; choose another name with --name, or remove it")
    if found.edited:
        edit = f"systemctl {'--user ' if service.of_the_user else ''}edit {service.name}"
        raise DarkroomError(
            f"{service.file} was edited by hand; put your changes into a drop-in (`{edit}`), remove the file, try again"
        )


def _refuse_of_another(wish: Wish, service: Service, found: stamp.Found) -> None:
    """Whoever stands beside a config.yaml means the service of that one."""
    here = os.path.abspath(wish.config)
    if found.config != here and os.path.exists(here):
        other = f"{service.file} is the service of {found.config}, and not of {here}"
        raise DarkroomError(f"{other}; say which one with --name, or, if it is meant, -c {quote(found.config)}")


def _prepared(config: Config, service: Service, tell: Tell) -> Service:
    """Make what is missing. The service, with an account that exists."""
    if service.account is not None and not service.account.exists:
        service = Service(service.name, account.make(service.account), service.home)
        tell(f"made the user {account.DEDICATED}, as whom it works")
    folders = folders_of(config, service.home)
    preparing.refuse_unusable(config.path, service.account, Host.of_this_process(0))
    if made := list(preparing.make_folders(folders, service.account)):
        here = config.path.parent
        if below := [str(path.relative_to(here)) for path in made if path.is_relative_to(here)]:
            tell(f"made, in {here}: {', '.join(below)}")
        if elsewhere := [str(path) for path in made if not path.is_relative_to(here)]:
            tell(f"made: {', '.join(elsewhere)}")
    for line in preparing.unwritable(folders, config, service.account):
        tell(f"note: {line}")
    preparing.refuse_foreign_state(config.state_dir, service.account)
    return service


def _write(config: Config, service: Service, tell: Tell) -> bool:
    """Whether the file was changed."""
    text, found = _made(config, service), stamp.find(service.file)
    if found is not None and found.text == text:
        tell(f"{service.file} is as it should be")
        return False
    stamp.write(service.file, text)
    tell(f"wrote {service.file}")
    return True


def _start(service: Service, tell: Tell, *, changed: bool) -> None:
    told = Manager(service)
    told.read_units()
    told.enable()
    if changed or not told.active:
        told.start()
    who = f" as {service.account.name}" if service.account else ""
    tell(f"{service.name} runs{who}, and starts with {'your session' if service.of_the_user else 'the machine'}")


def _tell_on(service: Service, tell: Tell, *, start: bool) -> None:
    user = " --user" if service.of_the_user else ""
    tell("next:")
    if not start:
        tell(f"  systemctl{user} daemon-reload && systemctl{user} enable --now {service.name}")
    tell(f"  systemctl{user} status {service.name}    how it is, and what it works on")
    tell(f"  journalctl{user} -fu {service.name}      what it says")
    tell(f"  systemctl{user} reload {service.name}    take an edit of config.yaml, or hear what is wrong with it")
    again = install_command(service.name, user=service.of_the_user)
    tell(f"  after a rule with a folder elsewhere, or the first hook: {again} again, which allows the service that")
    if service.of_the_user and not Path("/var/lib/systemd/linger", own_home().name).exists():
        tell("  loginctl enable-linger               it stops when you log out, unless you say so")
