"""The user a service of the machine works as: whoever owns config.yaml, or one of its own where that is root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.unit.values import Account

DEDICATED = "darkroom"
HOME = Path("/var/lib/darkroom")
NOBODY = Account("", -1, -1, HOME, exists=False)
"""Where it does not matter whose a service of the machine is."""


def account_of(config: Path, asked: str | None) -> Account:
    """The account asked for, else the owner of `config`; where that is root, `darkroom`. Raises DarkroomError."""
    if asked is not None:
        return _known(asked)
    try:
        owner = config.stat().st_uid
    except OSError as error:
        raise DarkroomError(f"{config}: {error.strerror}; name another one with -c FILE") from error
    if owner != 0:
        return _known(owner)
    try:
        return _known(DEDICATED)
    except DarkroomError:
        return Account(DEDICATED, -1, -1, HOME, exists=False)


def _known(user: str | int) -> Account:
    try:
        entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
    except KeyError:
        hint = "name one that does with --run-as USER"
        raise DarkroomError(f"user {user} does not exist; {hint}") from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))


def make(account: Account) -> Account:
    """Make the account if it does not exist: without a password or a shell. Raises DarkroomError."""
    if account.exists:
        return account
    line = f'u {account.name} - "darkroom, a batch-processing daemon for pictures" {account.home}'
    try:
        subprocess.run(["systemd-sysusers", "--inline", line], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise DarkroomError(f"user {account.name} cannot be made ({said}); name one with --run-as USER") from error
    return _known(account.name)


def run_as(account: Account | None, words: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command with the account's rights and home; None: with our own."""
    command = [str(word) for word in words]
    if account is None:
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=os.environ | {"HOME": str(account.home)},
        user=account.uid,
        group=account.gid,
        extra_groups=os.getgrouplist(account.name, account.gid),
    )


@contextmanager
def home_of(account: Account | None) -> Iterator[None]:
    """While it lasts, `~` in a path is the home of the account, as it will be for the service."""
    before = os.environ.get("HOME")
    if account is not None:
        os.environ["HOME"] = str(account.home)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("HOME", None)
        else:
            os.environ["HOME"] = before
