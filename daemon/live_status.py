"""What a live daemon tells of itself when it is asked."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from daemon.status_document import document
from daemon.version import darkroom_version

if TYPE_CHECKING:
    from daemon.edits import Edits
    from daemon.graphs import Graphs
    from daemon.pipeline import Pipeline
    from daemon.rulebook import Rulebook
    from daemon.runtime import Runtime
    from daemon.tally import Tally
    from daemon.tasks.host import TaskHost


class LiveStatus:
    """Looks at the stages of one daemon; changes nothing. Called from the thread that answers."""

    def __init__(
        self,
        rulebook: Rulebook,
        runtime: Runtime,
        graphs: Graphs,
        pipeline: Pipeline,
        host: TaskHost,
        tally: Tally,
        edits: Edits,
    ) -> None:
        self._rulebook = rulebook
        self._runtime = runtime
        self._graphs = graphs
        self._pipeline = pipeline
        self._host = host
        self._tally = tally
        self._edits = edits
        self._started = time.time()

    def answer(self) -> dict[str, Any]:
        """The content of `darkroom status --json`, by the rules in force."""
        return document(self._rulebook.config, self.live())

    def live(self) -> dict[str, Any]:
        """What only the daemon itself knows. Waits for nothing."""
        return {
            "version": darkroom_version(),
            "pid": os.getpid(),
            "started": self._started,
            "device": self._runtime.device,
            "device_choice": self._runtime.choice,
            "devices": self._graphs.devices(),
            "pictures_per_second": round(self._tally.rate(), 2),
            "in_flight": self._pipeline.in_flight,
            "tasks": [asdict(view) for view in self._host.running()],
            "compiling": self._graphs.missing(),
            "blocked": self._pipeline.blockades.reasons() | self._graphs.trouble(),
            "since": self._edits.since,
            "faults": self._edits.faults,
            "held_back": self._edits.held_back,
        }
