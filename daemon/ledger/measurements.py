"""What jobs measured, in the ledger: written with the move that ends the job, read by rule for its report."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.database import Database, chunks, path_of
from daemon.ledger.values import Measured
from daemon.model import State

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MeasuredPictures:
    """What a rule makes of the newest version of each of its pictures, sorted by path.

    `relatives` lie below `roots`, one each a measured picture; `mse` is float64, pictures × series. `others` pictures
    were measured with other steps. `ended` counts the newest versions by state.
    """

    roots: Sequence[str]
    relatives: Sequence[str]
    mse: NDArray[np.float64]
    others: int
    ended: Mapping[State, int]


def remember(db: sqlite3.Connection, job: int, measured: Measured) -> None:
    """Enter what a job measured; a second run of the same job replaces the first."""
    import numpy as np  # only a daemon measures: `darkroom jobs` need not load it to answer

    blob = np.asarray(measured.mse, "<f8").tobytes()
    db.execute("INSERT OR REPLACE INTO measurements VALUES (?,?,?)", (job, measured.steps, blob))


def of_jobs(database: Database, jobs: Sequence[int]) -> dict[int, Measured]:
    """What each of these jobs measured; those that measured nothing are absent."""
    import struct

    found = dict[int, Measured]()
    for chunk in chunks(jobs):
        marks = ",".join("?" * len(chunk))
        for job, steps, blob in database.read(f"SELECT * FROM measurements WHERE job IN ({marks})", tuple(chunk)):
            found[job] = Measured(steps, struct.unpack(f"<{len(blob) // 8}d", blob))
    return found


# The newest verdict on each picture: not a file that went away unread, nor a repeat, whose result is another job's.
# With a bare max(), SQLite takes the other columns from the row that has it.
_NEWEST = (
    "SELECT root, relative, state, reason, max(id) AS id FROM jobs WHERE rule = ?"
    " AND state IN ('done', 'failed', 'skipped') AND repeats IS NULL AND NOT (state = 'skipped' AND gone = 1)"
    " GROUP BY root, relative"
)


def of_rule(database: Database, rule: str, steps: str, series: int) -> MeasuredPictures:
    """What a rule measured with these steps, which give so many `series`."""
    import numpy as np

    rows = database.read(
        f"SELECT n.root, n.relative, m.mse FROM ({_NEWEST}) n JOIN measurements m ON m.job = n.id"
        " WHERE n.state = 'done' AND m.steps = ? ORDER BY n.root, n.relative",
        (rule, steps),
    )
    ended = {State(state): number for state, number in database.read(_counted(), (rule,))}
    numbers = np.frombuffer(b"".join(row[2] for row in rows), "<f8").astype(np.float64, copy=False)
    mse = numbers.reshape(len(rows), series)
    others = ended.get(State.DONE, 0) - len(rows)
    return MeasuredPictures([path_of(r[0]) for r in rows], [path_of(r[1]) for r in rows], mse, others, ended)


def _counted() -> str:
    return f"SELECT state, count(*) FROM ({_NEWEST}) GROUP BY state"


def unmeasured(database: Database, rule: str, state: State, limit: int) -> list[tuple[str, str]]:
    """Pictures whose newest version ended like this, newest first: (relative path, reason)."""
    sql = f"SELECT relative, reason FROM ({_NEWEST}) WHERE state = ? ORDER BY id DESC LIMIT ?"
    return [(path_of(row[0]), row[1]) for row in database.read(sql, (rule, state.value, limit))]
