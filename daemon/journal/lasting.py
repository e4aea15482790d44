"""Standard output and error that outlive whoever reads them: a terminal that is closed, a pipe, a full disk."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, TextIO, cast


class Lasting:
    """A stream of text; what cannot be written to it is lost, and is nobody's trouble: the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write it, if that can be."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered, if that can be. On a disk that was full, what comes later is written again."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def outlive_readers() -> None:
    """For the rest of the process, no thread of the daemon ends because nobody reads what it says."""
    sys.stdout, sys.stderr = cast(TextIO, Lasting(sys.stdout)), cast(TextIO, Lasting(sys.stderr))
