"""Files darkroom wrote and that are true no more: taken away, unless somebody has made them his own."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger
from daemon.publishing.outputs import discard
from daemon.publishing.placement import status_of


def remove_ours(ledger: Ledger, sources: Mapping[str, str]) -> None:
    """Remove these paths: those that darkroom wrote last, from the source given with each, and nobody changed since."""
    for path, record in ledger.written(list(sources)).items():
        if record.source != sources[path]:
            continue  # of another picture with the same name
        status = status_of(path)
        if status is not None and fingerprint_of(status) == record.fingerprint:
            discard(path)
        ledger.forget_output(path)
