"""One tree of errors. The class says whether a retry can help; the text says where, what, and the remedy."""

from __future__ import annotations

import errno
import os


class DarkroomError(Exception):
    """Anything darkroom reports to its user in one line. `kind` names the class in the ledger."""

    kind = "error"


class ConfigError(DarkroomError):
    """config.yaml cannot be used. `faults` are whole lines, each `FILE:LINE:COL: path: problem; remedy`."""

    kind = "config"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class FatalError(DarkroomError):
    """Nothing can go on before somebody has seen to it: a running daemon ends with this line."""

    kind = "fatal"


class PermanentError(DarkroomError):
    """The same file would fail again; the job fails at once and leaves a receipt."""

    kind = "permanent"


class BrokenPicture(PermanentError):
    """The bytes are not a whole picture of a format darkroom reads."""

    kind = "broken"


class UnsupportedPicture(PermanentError):
    """A sound picture of a sort that would come out wrong (16 bits, CMYK, several pages)."""

    kind = "unsupported"


class TooManyPixels(PermanentError):
    """The header announces more pixels than `runtime.max_pixels`; nothing was decoded."""

    kind = "too-large"


class OutputRefused(PermanentError):
    """Writing the output would destroy something (its source, an original) or leave its folder."""

    kind = "output"


class TransientError(DarkroomError):
    """May pass by itself; retried with backoff, at most `retries` times."""

    kind = "transient"


class BlockedError(DarkroomError):
    """The surroundings must change first (disk full, folder gone, no permission); waits without counting a retry."""

    kind = "blocked"


class SourceGone(DarkroomError):
    """The source vanished before it was read: nothing to do, nothing lost by us."""

    kind = "gone"


class SourceChanged(DarkroomError):
    """The source is no longer the version the job is about; a newer job takes the new one."""

    kind = "changed"


class StillWritten(DarkroomError):
    """Another program holds the source open for writing; looked at again shortly, without counting a retry."""

    kind = "open"


GOES_ON = ", work goes on by itself"
_PERMANENT = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EFBIG, errno.ELOOP, errno.EISDIR})
_REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space in the quota",
    errno.EROFS: "mount it writable",
    errno.EACCES: "give the daemon's user permission",
    errno.EPERM: "give the daemon's user permission",
    errno.ENOENT: "make or mount the folder",
    errno.EEXIST: "a file stands where a folder must be: move it away",
    errno.ENOTDIR: "a file stands where a folder must be: move it away",
}


def accepting_failed(place: str, error: OSError) -> str:
    """What to say where nobody who asks can be answered: most often too many files are open."""
    why = error.strerror or error
    return f"{place}: whoever asks there cannot be answered now ({why}); raise the limit of open files (LimitNOFILE=)"


def writing_failed(path: str, error: OSError) -> DarkroomError:
    """The error for an output that could not be written: blocked, unless this very name can never work."""
    what = f"{path}: cannot be written ({error.strerror})"
    if error.errno in _PERMANENT:
        remedy = "move the folder there away" if error.errno == errno.EISDIR else "choose another output template"
        return OutputRefused(f"{what}; {remedy}")
    return BlockedError(f"{what}; {remedy_of(error)}{GOES_ON}")


def final(error: Exception) -> str:
    """What to say of an error where nothing waits for its cause to pass: a command ends, or tries the next picture."""
    return str(error).removesuffix(GOES_ON)


def remedy_of(error: OSError, otherwise: str = "see to the disk") -> str:
    """What mends it; `otherwise` where nothing better is known.

    A service may write only where its unit lets it (docs/operations.md), and hears of a disk that is read-only.
    """
    if error.errno == errno.EROFS and (again := install_again()):
        return f"if config.yaml names the folder since lately: {again}"
    return _REMEDIES.get(error.errno or 0, otherwise)


def install_again() -> str:
    """What lets a service do what config.yaml did not ask for when its unit was made; "" where this is no service."""
    for variable, user in (("DARKROOM_UNIT", False), ("DARKROOM_USER_UNIT", True)):
        if name := os.environ.get(variable):
            return f"{install_command(name, user=user)} again"
    return ""


def install_command(name: str, *, user: bool) -> str:
    """The command that makes the unit of this name, in backquotes."""
    words = " --user" if user else ""
    words += "" if name == "darkroom" else f" --name {name}"
    return f"`darkroom service install{words}`"


def reading_failed(error: OSError) -> DarkroomError:
    """The error for a source that could not be read: gone, or a fault that may pass. Who tells it names the file."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SourceGone("gone before it was read")
    forbidden = error.errno in (errno.EACCES, errno.EPERM)
    remedy = "make it readable for the daemon's user" if forbidden else "see to the disk"
    return TransientError(f"cannot be read ({error.strerror}); {remedy}, then drop it again or retry the job")
