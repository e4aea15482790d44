"""Memory, managed for a process that handles pictures."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_TRIM_THRESHOLD = 128 << 20
REST_AFTER = 2.0
"""Seconds without work after which memory is given back."""


class _MallInfo(ctypes.Structure):
    """What mallinfo2(3) of glibc 2.33 gives."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def keep_pages() -> None:
    """Let freed picture buffers be used again instead of going back to the kernel, which must zero each page anew.

    One heap for all threads, no separate mapping for large blocks. Measured: a Gaussian at 1080p takes 37 ms instead
    of 84, and on a backlog of 1280×960 JPEGs 230,000 page faults become 31,000. Call it before any thread is started;
    `give_pages_back` returns what is kept. No-op without glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, 1)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)


def give_pages_back() -> None:
    """Return every free page of the heap to the kernel: for when the work is done."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Rest:
    """Gives memory back, once after each stretch of work."""

    def __init__(self) -> None:
        self._rested = True

    def look(self, *, working: bool, progressed: float) -> None:
        """Whether there is work now, and when the last of it got on, by the monotonic clock."""
        if working:
            self._rested = False
        elif not self._rested and time.monotonic() - progressed > REST_AFTER:
            self._rested = True
            give_pages_back()


def idle() -> int:
    """Bytes of the heap that are free to be used again, whether or not their pages were given back; 0 without glibc."""
    with contextlib.suppress(OSError, AttributeError):
        told = ctypes.CDLL(None).mallinfo2
        told.restype = _MallInfo
        return int(told().fordblks)
    return 0


def spare_the_collector() -> None:
    """Leave what start-up made out of every later search for cycles, and search less often.

    The pipeline makes no cycles of pictures, so nothing large waits for a search; the searches themselves took 3 % of
    a backlog's time.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
