"""`NAME.error.txt`: a failed job explains itself where its output would have been, until it succeeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from daemon.errors import DarkroomError, OutputRefused
from daemon.ledger import Ledger
from daemon.model import Job
from daemon.publishing.naming import fields_of
from daemon.publishing.outputs import write_whole
from daemon.publishing.template import Template
from daemon.publishing.tidying import remove_ours
from daemon.shown import quoted, shown


def receipt_path(job: Job, output: Template) -> str:
    """Where the receipt of a job lies: where its output would be, under the source's own name.

    A failed picture has no size, so `{width}` and `{height}` are 0 here.
    """
    try:
        folder = os.path.dirname(output.render(fields_of(job)))
    except OutputRefused:
        folder = output.folder
    return f"{folder}/{os.path.basename(job.path)}.error.txt"


def write(
    ledger: Ledger, config: Path, job: Job, output: Template, error: DarkroomError, complain: Callable[[str], None]
) -> None:
    """Leave a receipt, whose commands name `config`, the path of config.yaml.

    A file of that name that darkroom did not write is let be; a full disk is only complained of.
    """
    path = receipt_path(job, output)
    try:
        if os.path.lexists(path) and path not in ledger.written([path]):
            complain(f"{path}: exists and is not darkroom's, so the failure of {job.path} is told only in the ledger")
            return
        ledger.record_receipt(path, job.id, write_whole(path, job.id, _text(config, job, error)))
        remove(ledger, [job], but=path)  # of an earlier try, before `output` was edited
    except DarkroomError as trouble:
        complain(str(trouble))


def remove(ledger: Ledger, jobs: Sequence[Job], *, but: str | None = None) -> None:
    """Take away the receipts of jobs that have now succeeded, wherever they lie, if nobody changed them."""
    receipts = ledger.receipts_of([job.id for job in jobs])
    remove_ours(ledger, {path: job.path for job in jobs for path in receipts.get(job.id, ()) if path != but})


def _text(config: Path, job: Job, error: DarkroomError) -> bytes:
    of_the_daemon = f"-c {quoted(str(config))}"  # whoever reads this stands anywhere
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    what_to_do = (
        "mend the picture and drop it again under the same name, or, if the cause lay elsewhere,\n"
        f"run `darkroom retry {of_the_daemon} {job.id}`. This note goes away when the picture has been processed."
    )
    if job.lacks is not None:
        what_to_do = (
            "see to its files as said above: a new job is then made by itself.\n"
            "This note goes away when the group has been processed."
        )
    text = (
        f"darkroom could not process {shown(job.path)}\n\n"
        f"Why:   {shown(str(error))}\n"
        f"Rule:  {job.rule}\n"
        f"Job:   {job.id}\n"
        f"When:  {when}\n\n"
        f"What to do: {what_to_do}\n"
        f"Everything darkroom knows about it: `darkroom why {of_the_daemon} {quoted(job.path)}`\n"
    )
    return text.encode()
