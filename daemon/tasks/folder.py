"""A task's files while it is open, below `state_dir/tasks/JOB`: inputs, checkpoint, preview, result.

Nothing here is the user's; all of it can be made again. NumPy arrays and JSON: reading them runs no code.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.errors import writing_failed

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Card:
    """What must outlive the daemon about the tries of a task: its thrift, the last checkpoint's step at which a try
    failed, and how often in a row the worker was killed without getting further than that."""

    thrift: int = 0
    reached: int = 0
    kills: int = 0


class TaskFolder:
    """The files of one open task; `path` need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint lies, if there is one."""
        return self.path / "checkpoint.safetensors"

    def write_input(self, role: str, pixels: Pixels) -> None:
        """Keep an input for the worker. Raises BlockedError."""
        self.write(f"input-{role}", pixels)

    def write(self, name: str, pixels: Pixels) -> None:
        """Keep pixels, by rename: a reader finds all of them or the old ones. Raises BlockedError."""
        temporary = self.path / f"{name}.{os.getpid()}.tmp"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.save(file, pixels, allow_pickle=False)
            temporary.replace(self.path / f"{name}.npy")
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise writing_failed(str(temporary), error) from error

    def read(self, name: str) -> Pixels:
        """Pixels that were kept."""
        return np.asarray(np.load(self.path / f"{name}.npy", allow_pickle=False), np.uint8)

    def card(self) -> Card:
        """The card; a new one where there is none, or a damaged one."""
        try:
            return Card(**json.loads((self.path / "card.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return Card()

    def write_card(self, card: Card) -> None:
        """Keep the card. A disk that is full costs a try more, nothing else."""
        with contextlib.suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            temporary = self.path / f"card.{os.getpid()}.tmp"
            temporary.write_text(json.dumps(asdict(card)))
            temporary.replace(self.path / "card.json")

    def preview_path(self) -> str | None:
        """Where this task's preview lies, or was about to; None if it has none."""
        try:
            return os.fsdecode((self.path / "preview.path").read_bytes())
        except OSError:
            return None

    def keep_preview_path(self, path: str | None) -> None:
        """Remember where the preview lies, before it does. Raises OSError."""
        kept = self.path / "preview.path"
        if path is None:
            kept.unlink(missing_ok=True)
        elif path != self.preview_path():
            kept.write_bytes(os.fsencode(path))

    def close(self, *, keep_checkpoint: bool) -> None:
        """Remove the files; a task that may be taken up again keeps its checkpoint and card."""
        if not keep_checkpoint:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        for path in [*self.path.glob("*.npy"), *self.path.glob("*.tmp")]:
            path.unlink(missing_ok=True)
