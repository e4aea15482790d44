"""Lines for a journal: one an event, as text or as JSON, with a level that the system's journal understands."""

from __future__ import annotations

import enum
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from daemon.options import LogFormat, LogOptions
from daemon.shown import shown


class Level(enum.IntEnum):
    """How much an event matters: the priorities of syslog(3)."""

    ERROR = 3
    WARNING = 4
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: in words, and for programs as `fields`. `trace`: the lines of a traceback."""

    text: str
    level: Level = Level.INFO
    fields: Mapping[str, Any] = field(default_factory=dict)
    trace: str = ""

    def lines(self) -> list[str]:
        """It for people. Those of a traceback are indented: a message in it must not pass for a line of its own."""
        return [shown(self.text), *(f"  {shown(line)}" for line in self.trace.splitlines())]


class Journal:
    """Writes events to standard output, each flushed at once. `options` are asked for every event: they may change."""

    def __init__(self, options: Callable[[], LogOptions]) -> None:
        self._options = options
        self._prefixed = _is_system_journal()
        self._lock = threading.Lock()

    def wants(self, level: Level) -> bool:
        """Whether events of this level are written."""
        return level <= Level[self._options().level.upper()]

    def write(self, event: Event) -> None:
        """Write a line."""
        if not self.wants(event.level):
            return
        lines = "".join(f"{line}\n" for line in self._lines(event))
        with self._lock:  # threads tell things at the same time, and a line must stay whole
            sys.stdout.write(lines)
            sys.stdout.flush()

    def _lines(self, event: Event) -> list[str]:
        lines = [_as_json(event)] if self._options().format is LogFormat.JSON else event.lines()
        return [f"<{event.level:d}>{line}" for line in lines] if self._prefixed else lines


class Records(logging.Handler):
    """What the stages tell through `logging` (internal errors, batches), as events with traceback and `fields`."""

    def __init__(self, write: Callable[[Event], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on."""
        level = next((each for each in Level if logging.getLevelName(record.levelno) == each.name), Level.INFO)
        self.format(record)  # fills in what is read here
        self._write(Event(record.message, level, getattr(record, "fields", {}), record.exc_text or ""))


def log_into(write: Callable[[Event], None]) -> None:
    """Have what the stages log written as every other event is."""
    log = logging.getLogger("darkroom")
    log.handlers = [Records(write)]
    log.propagate = False
    log.setLevel(logging.DEBUG)


def _as_json(event: Event) -> str:
    when = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    message = f"{event.text}\n{event.trace}" if event.trace else event.text
    told = {"time": when, "level": event.level.name.lower(), "event": "notice", "message": message, **event.fields}
    return json.dumps(told)  # ASCII, so that a name that is not UTF-8 has its escapes too


def _is_system_journal() -> bool:
    """Whether standard output leads into systemd's journal, which takes a level before each line (sd-daemon(3))."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"
