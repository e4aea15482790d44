"""When a file is still. Pure: the clocks are passed in.

A file is taken once size, modification time and inode have not changed for `quiet` seconds. Two clocks prove it: the
file's own times (a file last changed an hour ago needs no waiting) and ours (a file whose times lie in the future, as
on a share whose clock is ahead, is still once *we* have seen no change for that long). A close or a rename shortens
the wait, but not to nothing: programs write, close and open again (Unmanic took files at their first close and had
to give it up, PR 440).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from daemon.model import Fingerprint

CLOSED_QUIET = 0.05
"""Seconds of quiet asked of a file that was closed or moved into place, unless `settle` is shorter."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as one look found it. `changed`: the later of its mtime and ctime, in seconds since the epoch."""

    root: str
    relative: str
    fingerprint: Fingerprint
    changed: float
    closed: bool = False

    @property
    def path(self) -> str:
        """The absolute path; a file that is in no watched folder has it in `relative`, and no root."""
        return f"{self.root}/{self.relative}" if self.root else self.relative

    def as_closed(self) -> Sighting:
        """The same look at a file whose writer has closed it."""
        return replace(self, closed=True)


@dataclass(slots=True)
class _Held:
    sighting: Sighting
    since: float
    quiet: float


class Settler:
    """Files that are not yet still."""

    def __init__(self, quiet: float) -> None:
        self.quiet = quiet
        self._held: dict[tuple[str, str], _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def still(self, sighting: Sighting, wall: float) -> bool:
        """Whether the file's own times already prove it still at wall-clock time `wall`."""
        return wall - sighting.changed >= self.quiet

    def hold(self, sighting: Sighting, now: float) -> None:
        """Wait for a file; a changed fingerprint starts its wait anew. `now` is monotonic seconds."""
        key = (sighting.root, sighting.relative)
        quiet = min(self.quiet, CLOSED_QUIET) if sighting.closed else self.quiet
        held = self._held.get(key)
        if held is None or held.sighting.fingerprint != sighting.fingerprint:
            self._held[key] = _Held(sighting, now, quiet)
        elif sighting.closed:
            held.quiet = quiet

    def forget(self, root: str, relative: str) -> None:
        """The file is gone."""
        self._held.pop((root, relative), None)

    def forget_folders(self, kept: Container[str]) -> None:
        """Let go of the files of every watched folder but these; files in none stay."""
        self._held = {key: held for key, held in self._held.items() if not key[0] or key[0] in kept}

    def ripe(self, now: float) -> Iterator[Sighting]:
        """Hand over the files that have been quiet long enough; the caller looks once more before it takes them."""
        for key, held in list(self._held.items()):
            if now - held.since >= held.quiet:
                del self._held[key]
                yield held.sighting

    def next_ripe(self, now: float) -> float | None:
        """Seconds until the next file may be ripe; None when none is held."""
        if not self._held:
            return None
        return max(0.0, min(held.since + held.quiet for held in self._held.values()) - now)
