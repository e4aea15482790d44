"""config.yaml while the daemon runs: a saved edit is put in force, or, with a fault in it, told of and else ignored.

The file is looked at ten times a second (a stat costs microseconds), not watched through the kernel: that works on
every file system and behind links, and an editor may replace the file, or its folder, as it likes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from daemon import folders
from daemon.asking import whereabouts
from daemon.config import load_config
from daemon.control.asker import NoAnswerError
from daemon.editing import config_receipt
from daemon.editing.changes import changes, held_back
from daemon.errors import ConfigError
from daemon.intake.scan import being_written, fingerprint_of
from daemon.journal.journal import Level
from daemon.model import Config, Fingerprint
from daemon.rulebook import Rulebook

QUIET = 0.2
"""Seconds that the file must have been still: an editor may write it in several pieces, and half of it may be valid."""
GONE = 2.0
"""Seconds that the file may be away, while an editor replaces it, before that is told."""
STILL_OPEN = 5.0
"""Seconds that a file may be open for writing before that is told."""
ANSWER_WITHIN = 10.0
"""Seconds that `darkroom reload` waits until an edit is in force."""


_Version: TypeAlias = Fingerprint | None
"""Of the file; None: it is not there."""
NEVER = Fingerprint(-1, -1, -1)


_Asker: TypeAlias = "queue.SimpleQueue[dict[str, Any]]"
"""Where the answer to one question goes."""


class Tell(Protocol):
    """Tells the user something, of some importance."""

    def __call__(self, text: str, level: Level = Level.INFO) -> None: ...


class Edits:
    """`look` is called by the daemon's loop all the time. `adopt` puts a configuration in force, elsewhere and soon."""

    def __init__(
        self,
        rulebook: Rulebook,
        *,
        adopt: Callable[[Config, Callable[[Mapping[str, str]], None]], None],
        tell: Tell,
        reloading: Callable[[bool], None] = lambda begun: None,
    ) -> None:
        self._path = rulebook.config.path
        self._rulebook = rulebook
        self._adopt = adopt
        self._tell = tell
        self._reloading = reloading
        self._in_force = self._wanted = rulebook.config
        self._read: _Version = NEVER
        self._seen: _Version = NEVER
        self._seen_at = time.monotonic()
        self._asked = threading.Event()
        self._askers: queue.SimpleQueue[_Asker] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[_Asker] = queue.SimpleQueue()
        """Those whose question was read, and who wait for the configuration wanted last to be in force."""
        self._told_open = False
        self.faults: list[str] = []
        """What is wrong with the file as it is now; while there is anything, what was in force before stays."""
        self.held_back: list[str] = []
        """Keys of the file that differ from those in force, and will only count after a restart."""
        self.since = time.time()
        """When what is in force was put in force, in seconds since the epoch."""
        self._changes: list[str] = []

    # -- asked from elsewhere ------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Have the file read at the next look, whether it seems to have changed or not."""
        self._asked.set()

    def answer(self, *, wait: bool) -> dict[str, Any]:
        """The same, and wait for what comes of it; without `wait`, what is in force: `run --once` reads nothing anew.

        `path` and `faults` of the file; what is in force `since` when, with its `changes` against the rules before;
        `held_back`.
        """
        if not wait:
            return self._told()
        answers: _Asker = queue.SimpleQueue()
        self._askers.put(answers)
        self.ask()
        try:
            return answers.get(timeout=ANSWER_WITHIN)
        except queue.Empty:
            raise NoAnswerError("the daemon is busy and has not read the file yet; it will") from None

    def _reply(self) -> None:
        """Answer those who wait, if what they wait for is in force."""
        with contextlib.suppress(queue.Empty):
            while self._in_force is self._wanted:
                self._waiting.get_nowait().put(self._told())

    def _told(self) -> dict[str, Any]:
        told = {"since": self.since, "changes": self._changes, "held_back": self.held_back}
        return {"path": str(self._path), "faults": self.faults} | told

    # -- the file ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read the file if it is another than the one last read, and nobody is writing it."""
        version, asked = self._version(), self._asked.is_set()
        if asked:
            self._asked.clear()
        if asked or (version != self._read and self._still(version)):
            askers = [self._askers.get() for _ in range(self._askers.qsize())]
            self._take(version, askers)

    def _version(self) -> _Version:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return fingerprint_of(status)

    def _still(self, version: _Version) -> bool:
        if version != self._seen:
            self._seen, self._seen_at = version, time.monotonic()
            self._told_open = False
        quiet = time.monotonic() - self._seen_at
        if quiet < (GONE if version is None else QUIET):
            return False
        if not _open_for_writing(self._path):
            return True
        if quiet > STILL_OPEN and not self._told_open:
            self._told_open = True
            self._tell(f"{self._path}: was changed, and somebody has it open for writing; read once it is closed")
        return False

    def _take(self, version: _Version, askers: Sequence[_Asker]) -> None:
        try:
            config = _load(self._path)
        except ConfigError as error:
            self._read = version
            self._refuse(error.faults)
        else:
            if self._version() == version:  # else it was replaced meanwhile: it is read again
                self._read = version
            self._accept(config)
        for asker in askers:  # after what they wait for is known: an earlier edit that is in force now is no answer
            self._waiting.put(asker)
        self._reply()

    # -- what comes of it ----------------------------------------------------------------------------------------

    def _refuse(self, faults: list[str]) -> None:
        config_receipt.write(self._rulebook.config, faults, self._tell)
        if faults != self.faults:
            self.faults = faults
            for fault in faults:
                self._tell(fault, Level.ERROR)
            text = f"{self._path}: not in force, because of {_faults(len(faults))}; the rules from before stay"
            self._tell(text, Level.ERROR)

    def _accept(self, config: Config) -> None:
        before, fresh = self._wanted, self._rulebook.kept(config)
        config_receipt.remove(self._rulebook.config)
        if self.faults:
            self._tell(f"{self._path}: has no faults any more")
        self.faults = []
        self._hold_back(held_back(before, config), config)
        if fresh == before:
            return
        self._wanted = fresh
        self._reloading(True)
        folders.prepare([rule for rule in fresh.rules if rule not in before.rules], self._tell)
        self._adopt(fresh, lambda renamed: self._adopted(fresh, renamed))

    def _hold_back(self, held: list[str], config: Config) -> None:
        if held and held != self.held_back:
            self._tell(f"{self._path}: {', '.join(held)}: in force after the next start of darkroom")
        if "state_dir" in held and "state_dir" not in self.held_back:
            kept = self._rulebook.config
            whereabouts.leave(kept, self._tell)
            told = f"stop darkroom, move what is in {kept.state_dir} to {config.state_dir}, and start it"
            self._tell(f"{self._path}: state_dir: {told}; else every picture is done again", Level.WARNING)
        elif "state_dir" not in held and "state_dir" in self.held_back:
            whereabouts.clear(self._rulebook.config)
        self.held_back = held

    def _adopted(self, fresh: Config, renamed: Mapping[str, str]) -> None:
        """It is in force. Called from the thread that did it, once for every edit, in their order."""
        before, self._in_force, self.since = self._in_force, fresh, time.time()
        self._changes = list(changes(before, fresh, renamed))
        for line in self._changes:
            self._tell(f"{self._path.name}: {line}")
        if self._in_force is self._wanted:
            self._reloading(False)
        self._reply()


def _load(path: Path) -> Config:
    """Raises ConfigError, also for what would block whoever opens it: a pipe, say."""
    if not stat.S_ISREG(mode := _mode(path)) and not stat.S_ISDIR(mode) and mode:
        raise ConfigError([f"{path}:1:1: file: it is no file; put a configuration there"])
    return load_config(path)


def _mode(path: Path) -> int:
    """What is there; 0 where there is no telling, which whoever reads it says."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _open_for_writing(path: Path) -> bool:
    if not stat.S_ISREG(_mode(path)):
        return False
    try:
        with path.open("rb") as file:
            return being_written(file.fileno())
    except OSError:
        return False


def _faults(number: int) -> str:
    return "one fault" if number == 1 else f"{number} faults"
