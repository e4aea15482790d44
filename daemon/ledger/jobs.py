"""A job as a row of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daemon.ledger.database import path_of
from daemon.model import Fingerprint, Job, State

COLUMNS = (
    "id, rule, root, relative, size, mtime_ns, inode, state, reason, attempts, not_before, output, device,"
    " created, updated, lacks, gone, asked_again"
)
_NAMES = COLUMNS.split(", ")[8:]


def job_of(row: Sequence[Any]) -> Job:
    """The job from a row of COLUMNS."""
    identity = (row[0], row[1], path_of(row[2]), path_of(row[3]), Fingerprint(*row[4:7]), State(row[7]))
    told: dict[str, Any] = dict(zip(_NAMES, row[8:], strict=True))
    output = None if told["output"] is None else path_of(told["output"])
    flags = {name: bool(told[name]) for name in ("gone", "asked_again")}
    return Job(*identity, **told | {"output": output} | flags)
