"""What lies in a watched folder: the truth, where events are only hints."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.intake.match import ignored
from daemon.intake.settle import Sighting
from daemon.model import Fingerprint

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"})
CHUNK = 512


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Size, modification time and inode of a stat result."""
    return Fingerprint(status.st_size, status.st_mtime_ns, status.st_ino)


def look(root: str, relative: str, *, closed: bool = False) -> Sighting | None:
    """One file as it is now; None when it is gone, not a regular file, or not to be read."""
    try:
        status = Path(root, relative).stat()
    except OSError:
        return None
    return _sighting(root, relative, status, closed=closed)


def _sighting(root: str, relative: str, status: os.stat_result, *, closed: bool = False) -> Sighting | None:
    if not stat.S_ISREG(status.st_mode):
        return None
    changed = max(status.st_mtime, status.st_ctime)
    return Sighting(root, relative, fingerprint_of(status), changed, closed)


def scan(root: str, *, recursive: bool, complain: Callable[[str], None]) -> Iterator[list[Sighting]]:
    """Every file below `root` that may be taken, in lists of at most `CHUNK`, so that a huge folder costs no memory.

    Links to folders are not followed (they can loop). Raises OSError when `root` itself cannot be read; a subfolder
    that cannot is reported through `complain`.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            for found, below in _list(root, folder):
                yield found
                folders += below if recursive else []
        except OSError as error:
            if not folder:
                raise
            if isinstance(error, FileNotFoundError):
                continue  # gone since it was listed
            complain(f"{root}/{folder}: {error.strerror}; its files are not seen until it can be read")


def _list(root: str, folder: str) -> Iterator[tuple[list[Sighting], list[str]]]:
    found, below = list[Sighting](), list[str]()
    with os.scandir(f"{root}/{folder}" if folder else root) as entries:
        for entry in entries:
            if ignored(entry.name):
                continue
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                below.append(relative)
                continue
            with contextlib.suppress(OSError):  # gone since it was listed, or a link to nothing, or to itself
                if (seen := _sighting(root, relative, entry.stat())) is not None:
                    found.append(seen)
            if len(found) == CHUNK:
                yield found, below
                found, below = [], []
    yield found, below


def being_written(descriptor: int) -> bool:
    """Whether any program holds the open file for writing, as far as the kernel will say.

    Linux grants a read lease only on a file that nobody has open for writing (fcntl(2), F_SETLEASE); the lease is given
    back at once. File systems without leases, and files of other owners without CAP_LEASE, answer "not known": False.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def events_arrive(folder: str) -> bool:
    """Whether the kernel reports every change of this folder: not on network shares, where others write unseen."""
    return file_system_of(folder) not in NETWORK_FILE_SYSTEMS


def file_system_of(folder: str) -> str:
    """The type of the file system a folder lies on, as in /proc/self/mountinfo; "" when it cannot be told."""
    try:
        device = Path(folder).stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        fields, _, after = line.partition(" - ")
        if fields.split()[2] == wanted:
            return after.split()[0].removeprefix("fuse.")
    return ""
