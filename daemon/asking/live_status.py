"""What a live daemon tells of itself when it is asked."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from daemon.asking.promptly import Promptly
from daemon.asking.status_document import document
from daemon.asking.why import why
from daemon.counted import counted
from daemon.version import darkroom_version

if TYPE_CHECKING:
    from daemon.assembly import Assembly
    from daemon.editing.edits import Edits
    from daemon.rulebook import Rulebook


class LiveStatus:
    """Looks at the stages of one daemon; changes nothing. Called from the thread that answers."""

    def __init__(self, rulebook: Rulebook, stages: Assembly, edits: Edits) -> None:
        self._rulebook = rulebook
        self._stages = stages
        self._edits = edits
        self._started = time.time()
        self._ledger = Promptly("ledger-status")

    def answer(self) -> dict[str, Any]:
        """The content of `darkroom status --json`, by the rules in force."""
        return document(self._rulebook.config, self.live(), self._ledger)

    def live(self) -> dict[str, Any]:
        """What only the daemon itself knows. Waits for nothing."""
        return {
            "version": darkroom_version(),
            "pid": os.getpid(),
            "started": self._started,
            "device": self._stages.runtime.device,
            "device_choice": self._stages.runtime.choice,
            "devices": self._stages.graphs.devices(),
            "pictures_per_second": round(self._stages.tally.rate(), 2),
            "in_flight": self._stages.pipeline.in_flight,
            "tasks": [asdict(view) for view in self._stages.host.running()],
            "compiling": self._stages.graphs.missing(),
            "blocked": self._stages.blocked(),
            "ledger_trouble": self._stages.ledger.trouble(),
            "unreadable": self._stages.intake.unreadable(),
            "since": self._edits.since,
            "faults": self._edits.faults,
            "held_back": self._edits.held_back,
        }

    def why(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What `darkroom why` says about the `path` in question, by the rules in force."""
        known, lines = why(self._rulebook.config, str(question.get("path")), self._rule)
        return {"known": known, "lines": lines}

    def _rule(self, name: str) -> dict[str, Any]:
        """What only the daemon knows of a rule."""
        return {"compiling": name in self._stages.graphs.missing(), "blocked": self._stages.blocked().get(name)}

    def line(self) -> str:
        """The same in a line, for `systemctl status`."""
        stages, blocked = self._stages, sorted(self._stages.blocked())
        work = stages.pipeline.in_flight
        told = f"{max(0, stages.open_jobs() - work):,} waiting, {work:,} in work, {stages.tally.rate():,.1f} pictures/s"
        told += f", on the {stages.runtime.label}" + (f"; blocked: {', '.join(blocked)}" if blocked else "")
        if unread := len(stages.intake.unreadable()):
            told += f"; {counted(unread, 'watched folder')} cannot be read"
        told += "; the ledger cannot be used" if stages.ledger.trouble() else ""
        return told + ("; config.yaml has faults, the rules from before are in force" if self._edits.faults else "")
