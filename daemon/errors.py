"""One tree of errors. The class says whether a retry can help; the text says where, what, and the remedy."""

from __future__ import annotations


class DarkroomError(Exception):
    """Anything darkroom reports to its user in one line. `kind` names the class in the ledger."""

    kind = "error"


class ConfigError(DarkroomError):
    """config.yaml cannot be used. `faults` are whole lines, each `FILE:LINE:COL: path: problem; remedy`."""

    kind = "config"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


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
