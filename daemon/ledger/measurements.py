"""What jobs measured, in the ledger: written with the move that ends the job, read by rule for its report."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.database import Database, chunks, path_of
from daemon.ledger.values import Measured

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MeasuredPictures:
    """Everything a rule measured with the same steps: each picture once, by its newest done job, sorted by path.

    `relatives` lie below `roots`, one each a picture; `mse` is float64, pictures × series. `others` pictures were
    measured with other steps only.
    """

    roots: Sequence[str]
    relatives: Sequence[str]
    mse: NDArray[np.float64]
    others: int


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


def of_rule(database: Database, rule: str, steps: str, series: int) -> MeasuredPictures:
    """What a rule measured with these steps, which give so many `series`."""
    import numpy as np

    joined = "FROM jobs j JOIN measurements m ON m.job = j.id WHERE j.rule = ? AND j.state = 'done'"
    rows = database.read(
        # With a bare max(), SQLite takes the other columns from the row that has it.
        f"SELECT j.root, j.relative, m.mse, max(j.id) {joined} AND m.steps = ? GROUP BY j.root, j.relative",
        (rule, steps),
    )
    everything = f"SELECT count(*) FROM (SELECT DISTINCT j.root, j.relative {joined})"
    ((pictures,),) = database.read(everything, (rule,))
    numbers = np.frombuffer(b"".join(row[2] for row in rows), "<f8").astype(np.float64, copy=False)
    mse = numbers.reshape(len(rows), series)
    return MeasuredPictures([path_of(r[0]) for r in rows], [path_of(r[1]) for r in rows], mse, pictures - len(rows))
