"""The values of the template fields for one picture."""

from __future__ import annotations

import os
import time

from daemon.model import Job


def sizes(width: int | None, height: int | None) -> dict[str, str | int]:
    """What `{width}` and `{height}` stand for; for themselves where that is not known beforehand."""
    return {"width": "{width}" if width is None else width, "height": "{height}" if height is None else height}


def fields_of(job: Job, width: int = 0, height: int = 0, *, file: str | None = None) -> dict[str, str | int]:
    """What `{dir}`, `{stem}` and the others stand for; `width` and `height` are those of the result, in pixels.

    `file` is the one of a group that `{name}`, `{stem}` and `{ext}` are about. `{dir}` and `{key}` are the group's.
    """
    folder, _, key = job.relative.rpartition("/")
    name = os.path.basename(file) if file else key
    stem, extension = os.path.splitext(name)
    return {
        "dir": folder,
        "stem": stem,
        "name": name,
        "ext": extension.lstrip("."),
        "key": key,
        "rule": job.rule,
        "date": time.strftime("%Y-%m-%d"),
        "width": width,
        "height": height,
    }
