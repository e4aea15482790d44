"""Files darkroom writes: temporary names, group durability, renames into place, error receipts.

Everything is written under a temporary name beside its final one, made durable, and only then renamed (law 4).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from daemon.errors import BlockedError, writing_failed
from daemon.intake.match import TEMPORARY_PREFIX
from daemon.intake.scan import fingerprint_of
from daemon.model import Fingerprint

_RUN = secrets.token_hex(4)  # tells this run's temporary files from those a killed one left behind


def temporary_for(target: str, job: int, suffix: str = "") -> str:
    """A temporary name in the folder of `target`, unique to this run, job and suffix."""
    return f"{os.path.dirname(target)}/{TEMPORARY_PREFIX}{_RUN}-{job}{suffix}.tmp"


def numbered(path: str, number: int) -> str:
    """`NAME-2.png` for `NAME.png`; the path itself for 0."""
    stem, ending = os.path.splitext(path)
    return f"{stem}-{number}{ending}" if number else path


def write_temporary(target: str, job: int, data: bytes, suffix: str = "") -> tuple[str, Fingerprint]:
    """Write `data` beside `target`, making its folder if need be; the temporary path and fingerprint.

    `suffix` tells a further file of the same job from its output.

    Raises BlockedError or OutputRefused.
    """
    temporary = temporary_for(target, job, suffix)
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            make_folder(Path(temporary).parent)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            _write_all(descriptor, data)
            return temporary, fingerprint_of(os.fstat(descriptor))
        finally:
            os.close(descriptor)
    except OSError as error:
        discard(temporary)
        raise writing_failed(target, error) from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def make_folder(folder: Path) -> None:
    """Make a folder and make its name durable: an output is not safe in a folder that a power cut takes back."""
    missing = [folder, *folder.parents]
    missing = [part for part in missing if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    sync_folders({str(part.parent) for part in missing})


def discard(temporary: str) -> None:
    """Remove a temporary file that is not wanted, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(temporary)


def sync_file(path: str) -> None:
    """Make a file's content durable; raises OSError, and only then is an old write error known."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folders(folders: Iterable[str]) -> None:
    """Make the names in these folders durable; a file system that cannot sync a folder (some shares) is let be."""
    for folder in folders:
        with contextlib.suppress(OSError):
            sync_file(folder)


def put_in_place(temporary: str, target: str, *, exclusive: bool) -> None:
    """Give a temporary file its final name; `exclusive`: raises FileExistsError rather than replace a file.

    rename(2) has no such mode in Python, so the exclusive way is a hard link and an unlink; where links are not
    supported (vfat, some shares) a look beforehand has to do.
    """
    if not exclusive:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        Path(temporary).rename(target)
        return
    Path(temporary).unlink()


def write_whole(target: str, job: int, data: bytes) -> Fingerprint:
    """Write a file atomically and durably, replacing what is there. Raises BlockedError or OutputRefused."""
    temporary, fingerprint = write_temporary(target, job, data)
    try:
        sync_file(temporary)
        Path(temporary).replace(target)
    except OSError as error:
        discard(temporary)
        raise writing_failed(target, error) from error
    return fingerprint


def write_together(files: Mapping[str, Iterable[bytes]]) -> None:
    """Write files, each given in pieces, atomically: every one is durable before the first is renamed.

    Raises BlockedError or OutputRefused; whatever stops the writing, the old files stay and no temporary one does.
    """
    temporaries = {target: _temporary_beside(target) for target in files}
    try:
        for target, pieces in files.items():
            _write_pieces(temporaries[target], pieces)
        for target in files:
            if os.path.isdir(target):  # or some would be replaced before the last one fails
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
        for target, temporary in temporaries.items():
            Path(temporary).replace(target)
    except OSError as error:
        raise writing_failed(target, error) from error
    finally:
        for temporary in temporaries.values():
            discard(temporary)
    sync_folders({os.path.dirname(target) for target in files})


def _temporary_beside(target: str) -> str:
    folder, name = os.path.split(target)
    return f"{folder}/{TEMPORARY_PREFIX}{_RUN}-{name}.tmp"


def _write_pieces(path: str, pieces: Iterable[bytes]) -> None:
    make_folder(Path(path).parent)
    with open(path, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def leftovers(folder: str) -> Iterator[str]:
    """Temporary files below a folder that no run of darkroom still alive in this process made."""
    mine = f"{TEMPORARY_PREFIX}{_RUN}-"
    for place, _, names in os.walk(folder):
        yield from (
            f"{place}/{name}" for name in names if name.startswith(TEMPORARY_PREFIX) and not name.startswith(mine)
        )


def check_writable(folder: str) -> None:
    """Make an output folder and prove that files can be made in it. Raises BlockedError with the remedy."""
    probe = f"{folder}/{TEMPORARY_PREFIX}{_RUN}-probe.tmp"
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(probe).touch()
        Path(probe).unlink()
    except OSError as error:
        blocked = writing_failed(folder, error)
        raise blocked if isinstance(blocked, BlockedError) else BlockedError(str(blocked)) from error
