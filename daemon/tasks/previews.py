"""`{stem}.preview.jpg`: a running task's picture as it stands, beside its output to come, until the task ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from daemon.codec import Format, Metadata, encode
from daemon.errors import DarkroomError, writing_failed
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger
from daemon.model import EncodeOptions
from daemon.pipeline.stages import target_of
from daemon.pipeline.work import Work
from daemon.publishing.outputs import discard, write_temporary
from daemon.publishing.tidying import remove_ours
from daemon.tasks.folder import Pixels, TaskFolder

SUFFIX = ".preview.jpg"
_OPTIONS = EncodeOptions(jpeg_quality=85)


class Preview:
    """The preview of one task. A file of that name that darkroom did not write is let be.

    Its path is kept in the task's folder, so that `remove` also finds the one that a killed daemon left behind.
    """

    def __init__(self, work: Work, folder: TaskFolder, ledger: Ledger, complain: Callable[[str], None]) -> None:
        self._work = work
        self._folder = folder
        self._ledger = ledger
        self._complain = complain

    def show(self) -> None:
        """Put what the worker gave in the place of the preview. A preview that cannot be shown is told of, no more."""
        try:
            self._show(self._folder.read("preview"))
        except (DarkroomError, OSError, ValueError) as error:
            self._complain(f"{self._work.job.path}: there is no preview: {error}")

    def _show(self, pixels: Pixels) -> None:
        height, width = pixels.shape[:2]
        path = f"{os.path.splitext(target_of(self._work, width, height))[0]}{SUFFIX}"
        if os.path.lexists(path) and not (path == self._folder.preview_path() and self._is_ours(path)):
            self._complain(f"{path}: exists and is not this task's, so there is no preview")
            return
        self._write(path, encode(pixels, None, Metadata(Format.JPEG), Format.JPEG, _OPTIONS))

    def _is_ours(self, path: str) -> bool:
        """Whether what stands there is what was written last; a link is not."""
        record = self._ledger.written([path]).get(path)
        return record is not None and record.fingerprint == fingerprint_of(Path(path).lstat())

    def _write(self, path: str, data: bytes) -> None:
        job = self._work.job.id
        temporary, fingerprint = write_temporary(path, job, data, SUFFIX)
        try:
            self._folder.keep_preview_path(path)
            # Recorded before it has its name: a folder that is watched must never take it for a picture.
            self._ledger.record_file(path, job, fingerprint)
            Path(temporary).replace(path)
        except OSError as error:
            raise writing_failed(path, error) from error
        finally:
            discard(temporary)


def remove(folder: TaskFolder, ledger: Ledger, source: str) -> None:
    """Take the preview of a task away, unless somebody changed it. `source` is the path of its job."""
    if (path := folder.preview_path()) is not None:
        remove_ours(ledger, {path: source})
        folder.keep_preview_path(None)
