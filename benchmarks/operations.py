"""What an operator waits for: an edit to be in force, a stop, the answers of commands; all during a backlog.

Each edit gives files another time to settle, so that the daemon tells of each; the clock runs from the rename that
saves the file until the daemon says that it is in force.

    python -m benchmarks.operations
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.latency import start, stop, tell
from benchmarks.throughput import BACKLOGS, make_backlog
from export.store import GraphStore
from kernels.chain import parse_chain

EDITS = 30
STOPS = 3
COPIES = 8
COMMANDS = ("check", "status", "jobs --limit 20", "why in/0-0.jpg", "schema", "operators", "--help")
ASKED = ("status", "jobs --limit 20", "why in/0-0.jpg")
"""Those that a daemon at work has a part in."""
TIMES = 5
WITHIN = 60.0
TEXT = """\
version: 1
settle: {settle}ms
rules:
  - {{name: mosaic, watch: in, steps: [mosaic: {{block: 16}}], output: "out/{{stem}}.{{ext}}"}}
"""


def save(box: Path, settle: int) -> None:
    """Save the configuration as editors do."""
    draft = box / "config.yaml.new"
    draft.write_text(TEXT.format(settle=settle))
    draft.replace(box / "config.yaml")


def refill(box: Path) -> None:
    """A backlog of some thousand photographs, each again under other names."""
    for copy in range(COPIES):
        for number, path in enumerate(sorted((box / "photographs").iterdir())):
            shutil.copyfile(path, box / "in" / f"{copy}-{number}.jpg")


class Lines:
    """What a daemon says, collected by a thread, and when."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._told: list[tuple[float, str]] = []
        self._child = child
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._told.append((time.perf_counter(), line))

    def when(self, text: str) -> float:
        """When it said this; waits for it."""
        deadline = time.perf_counter() + WITHIN
        while time.perf_counter() < deadline:
            for moment, line in self._told:
                if text in line:
                    return moment
            time.sleep(0.002)
        raise RuntimeError(f"the daemon never said {text!r}")


def edits(box: Path, lines: Lines) -> Iterator[float]:
    """Seconds from save to force."""
    for number in range(1, EDITS + 1):
        save(box, 100 + number)
        begun = time.perf_counter()
        yield lines.when(f"→ {0.1 + number / 1000:g} s") - begun


def timed(box: Path, words: str) -> Iterator[float]:
    """Seconds that a command takes, from its start to its end."""
    for _ in range(TIMES):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "daemon.cli", *words.split()]
        subprocess.run(command, cwd=box, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        yield time.perf_counter() - begun


def main() -> None:
    """Print the table as Markdown."""
    print(f"{time.strftime('%Y-%m-%d')}\n\n| what | median ms | lowest | highest |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        box = Path(name)
        GraphStore(box / "var/graphs").ensure(parse_chain([{"mosaic": {"block": 16}}]))
        (box / "in").mkdir()
        make_backlog(box / "photographs", *BACKLOGS["1280×960"])
        save(box, 100)
        ends = list[float]()
        for number in range(STOPS):
            refill(box)
            child, _ = start(box / "config.yaml")
            if number == 0:
                tell("a saved edit in force, during a backlog", list(edits(box, Lines(child))))
            time.sleep(1)
            ends.append(stop(child))
        tell("SIGTERM to the end, during a backlog", ends)
        for words in COMMANDS:
            tell(f"`darkroom {words}`, no daemon", list(timed(box, words)))
        child, _ = start(box / "config.yaml")
        for words in ASKED:
            tell(f"`darkroom {words}`, of a daemon at work", list(timed(box, words)))
        stop(child)


if __name__ == "__main__":
    main()
