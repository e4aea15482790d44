"""The values of the template fields for one picture."""

from __future__ import annotations

import os
import time

from daemon.model import Job


def fields_of(job: Job, width: int = 0, height: int = 0) -> dict[str, str | int]:
    """What `{dir}`, `{stem}` and the others stand for; `width` and `height` are those of the result, in pixels."""
    folder, _, name = job.relative.rpartition("/")
    stem, extension = os.path.splitext(name)
    return {
        "dir": folder,
        "stem": stem,
        "name": name,
        "ext": extension.lstrip("."),
        "rule": job.rule,
        "date": time.strftime("%Y-%m-%d"),
        "width": width,
        "height": height,
    }
