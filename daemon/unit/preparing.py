"""What a unit needs before it can start: folders that the service's user may write, and a configuration it can read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from daemon.errors import DarkroomError
from daemon.folders import make_folder
from daemon.model import Config
from daemon.unit.account import run_as
from daemon.unit.folders import Folders
from daemon.unit.values import Account, Host


def make_folders(folders: Folders, account: Account | None) -> Iterator[Path]:
    """Make the folders that are missing, and give them to the account; those that were made. Raises DarkroomError."""
    for folder in folders.named:
        if not folder.exists():
            _make(folder, account)
            yield folder


def _make(folder: Path, account: Account | None) -> None:
    """By the account itself where it may: root that makes folders among a user's can be led astray by links."""
    if account is None:
        make_folder(folder)
        return
    if run_as(account, ["mkdir", "-p", "--", folder]).returncode == 0:
        return
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    for path in missing:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def refuse_unusable(config: Path, account: Account | None, host: Host) -> None:
    """Have the account itself read the configuration. Raises DarkroomError with what is in its way."""
    done = run_as(account, [host.python, "-P", "-m", "daemon.cli", "check", "-c", config])
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        who = account.name if account else "this user"
        raise DarkroomError(
            f"user {who} cannot run darkroom on {config}: {said[-1]} (put Python and configuration where {who} "
            "may read them, or name another user with --run-as)"
        )


def unwritable(folders: Folders, config: Config, account: Account | None) -> Iterator[str]:
    """A line for each folder, but `state_dir`, that is to be written and is not the account's to write."""
    who = account.name if account else "this user"
    for folder in folders.written:
        if folder != config.state_dir and folder.exists() and not _may_write(account, [folder]):
            if folder == config.path.parent:
                why = (
                    "faults of an edit are told in the journal and by `darkroom status`, not in config.error.txt there"
                )
                yield f"{folder}: {who} may not write there; {why}"
            else:
                yield f"{folder}: {who} may not write there; `sudo chown {who} {quote(str(folder))}`"


def refuse_foreign_state(state_dir: Path, account: Account | None) -> None:
    """Whoever tried `darkroom run` as another user, such as root, left a ledger that the service cannot open.

    Raises DarkroomError.
    """
    if not _may_write(account, [state_dir, *state_dir.iterdir()]):
        who = account.name if account else "this user"
        raise DarkroomError(
            f"{state_dir}: {who} may not write in it, since darkroom worked there as another user;"
            f" `sudo chown -R {who} {quote(str(state_dir))}`, then try again"
        )


def _may_write(account: Account | None, paths: Sequence[Path]) -> bool:
    """All of them. A command that tries: only the kernel knows what groups, ACLs and mounts let a user do."""
    return run_as(account, ["sh", "-c", 'for path; do test -w "$path" || exit 1; done', "sh", *paths]).returncode == 0
