"""Events of the watched folders, as hints: which files to look at, and which folders to scan.

What the kernel or watchdog loses must not matter, so every doubt marks a folder for a scan: any event of a directory
(a file written into a folder in the moment it is made is never reported), a flood (the kernel's queue may have run
over, and watchdog drops that notice, issue 654), a lost or replaced folder, a dead emitter.
"""

from __future__ import annotations

import contextlib
import errno
import os
import traceback
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify_c import Inotify

from daemon.errors import remedy_of
from daemon.intake.hints import Hints
from daemon.intake.match import ignored

# Created must stay in the filter: without it watchdog does not follow new subfolders (issue 990).
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
_WITH_DELETIONS = [*_EVENTS, FileDeletedEvent]


class _Handler(FileSystemEventHandler):
    """Notes what happened and returns: watchdog calls it under its own lock, and an exception here would kill it."""

    def __init__(self, root: str, hints: Hints, *, deletions: bool) -> None:
        self._root = root
        self._hints = hints
        self._deletions = deletions

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            self._hints.folder(self._root, grown=not isinstance(event, DirDeletedEvent))
            return
        moved = isinstance(event, FileMovedEvent)
        self._hint(str(event.dest_path if moved else event.src_path), moved or isinstance(event, FileClosedEvent))
        if moved and self._deletions:
            self._hint(str(event.src_path), closed=False)

    def _hint(self, path: str, closed: bool) -> None:
        relative = path.removeprefix(self._root).lstrip("/")
        if path.startswith(f"{self._root}/") and not any(map(ignored, relative.split("/"))):
            self._hints.file(self._root, relative, closed=closed)


class Watcher:
    """One observer a watched folder. `complain` gets a line for the user when a folder cannot be watched.

    In the folders `deletions`, a file that goes away is a hint too.
    """

    def __init__(
        self,
        roots: Iterable[tuple[str, bool]],
        hints: Hints,
        complain: Callable[[str], None],
        *,
        deletions: Container[str] = (),
    ) -> None:
        self._roots = dict(roots)
        self._deletions = deletions
        self._hints = hints
        self._complain = complain
        self._observers: dict[str, tuple[BaseObserver, int]] = {}
        self._trouble: dict[str, str] = {}
        self._missing: dict[str, str] = {}

    def follow(self, roots: Iterable[tuple[str, bool]], deletions: Container[str]) -> None:
        """Watch these folders from now on; what is no longer watched as it was is let go, for `arm` to see to."""
        before, known = self._roots, self._deletions
        self._roots, self._deletions = dict(roots), deletions
        for root, recursive in before.items():
            if self._roots.get(root) != recursive or (root in known) != (root in deletions):
                self._drop(root)
        self._trouble = {root: problem for root, problem in self._trouble.items() if root in self._roots}

    def arm(self) -> None:
        """Watch every folder that can be watched; safe to call again, and heals what was lost.

        A folder that is new, came back, or whose emitter died is marked for a scan.
        """
        missing = dict[str, str]()
        for root, recursive in self._roots.items():
            if self._alive(root):
                continue
            self._drop(root)
            try:
                inode = _inode_of_readable(root)
            except OSError as error:
                missing[root], remedy = _why_missing(error)
                self._report(root, f"{missing[root]}; {remedy}, work goes on by itself")
            else:
                self._watch(root, inode, recursive)
        self._missing = missing

    def renew(self, roots: Iterable[str] | None = None) -> None:
        """Replace the observers of these folders (all, without an argument): the new one is armed before the old ends.

        Needed now and then for all, as watchdog 6 never forgets a file moved away (issue 1041) and so grows; and for
        a folder into which another was moved, since it never watches that one (issue 1094).
        """
        chosen = set(self._observers if roots is None else roots) & set(self._observers)
        old = [self._observers.pop(root)[0] for root in chosen]
        self.arm()
        for observer in old:
            _stop(observer)

    def missing(self) -> dict[str, str]:
        """Folders that could not be opened at the last look, and why; nothing is looked at, as that may hang."""
        return self._missing

    def unwatched(self) -> set[str]:
        """Folders whose events do not reach us although they are there."""
        return set(self._roots) - set(self._observers)

    def close(self) -> None:
        """Stop and join every observer."""
        for root in list(self._observers):
            self._drop(root)

    def _watch(self, root: str, inode: int, recursive: bool) -> None:
        observer = Observer()
        try:
            deletions = root in self._deletions
            handler, events = (
                _Handler(root, self._hints, deletions=deletions),
                _WITH_DELETIONS if deletions else _EVENTS,
            )
            observer.schedule(handler, root, recursive=recursive, event_filter=events)
            observer.start()
        except OSError as error:
            _close_abandoned(error)
            self._report(root, f"events cannot be had ({error.strerror or error}); scanned instead. {_remedy(error)}")
            self._hints.folder(root)
            return
        self._observers[root] = (observer, inode)
        if self._trouble.pop(root, None):
            self._complain(f"{root}: watched again")
        self._hints.folder(root)

    def _alive(self, root: str) -> bool:
        if root not in self._observers:
            return False
        observer, inode = self._observers[root]
        going = observer.is_alive() and all(e.is_alive() for e in observer.emitters)
        # A folder closed to us later keeps its events, and what they tell of can no longer be looked at.
        return going and _inode(root) == inode and os.access(root, os.R_OK)

    def _drop(self, root: str) -> None:
        if root in self._observers:
            _stop(self._observers.pop(root)[0])

    def _report(self, root: str, problem: str) -> None:
        if self._trouble.get(root) != problem:
            self._trouble[root] = problem
            self._complain(f"{root}: {problem}")


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    observer.join(timeout=5)


def _close_abandoned(error: OSError) -> None:
    """Close the inotify instance that watchdog 6 leaves open when it fails while it adds its watches.

    Tried again every few seconds, these would soon be all the instances and file descriptors there are.
    """
    found = {id(own): own for frame, _ in traceback.walk_tb(error.__traceback__) if (own := frame.f_locals.get("self"))}
    for inotify in found.values():
        if isinstance(inotify, Inotify):
            for name in ("_inotify_fd", "_kill_r", "_kill_w"):
                with contextlib.suppress(OSError, AttributeError):  # none were opened if there are too many already
                    os.close(getattr(inotify, name))


def _inode(root: str) -> int | None:
    try:
        return Path(root).stat().st_ino
    except OSError:
        return None


def _inode_of_readable(root: str) -> int:
    """Raises OSError, too, where watchdog 6 would not: in a folder that it may not read, it watches nothing."""
    with os.scandir(root):
        return os.stat(root).st_ino


def _why_missing(error: OSError) -> tuple[str, str]:
    """What keeps a folder from being looked into, and what mends that: one below a closed folder may well be there."""
    if error.errno == errno.ENOENT:
        return "not there", "make the folder or mount it"
    return error.strerror or str(error), remedy_of(error)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EMFILE):
        return "Raise the limit: sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024"
    return "Make the folder readable"
