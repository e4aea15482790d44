"""Which of the files found are new: a rule of single files takes them, darkroom did not write them, no job has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from daemon.intake.settle import Sighting
from daemon.ledger import Ledger
from daemon.model import Rule
from daemon.report.files import report_files


def by_root(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """The rules of each watched folder."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        for root in rule.watch:
            found.setdefault(str(root), []).append(rule)
    return found


class Newcomers:
    """Asks the ledger; changes nothing."""

    def __init__(self, rules: Mapping[str, Sequence[Rule]], ledger: Ledger) -> None:
        self._rules = {root: [rule for rule in some if not rule.inputs] for root, some in rules.items()}
        self._ledger = ledger
        self._reports = report_files(rule for some in rules.values() for rule in some)

    def among(self, root: str, sightings: Sequence[Sighting]) -> Iterator[tuple[Rule, Sighting]]:
        """The new ones of these files below a watched folder, once for each rule that takes them."""
        wanted = [(rule, [s for s in sightings if rule.takes(s.relative)]) for rule in self._rules.get(root, ())]
        found = {s.fingerprint for _, taken in wanted for s in taken}
        ours = self._ledger.own(list(found)) if found else set()
        for rule, taken in wanted:
            known = self._ledger.latest(rule.name, root, [s.relative for s in taken]) if taken else {}
            for sighting in taken:
                new = known.get(sighting.relative) != sighting.fingerprint
                if new and sighting.fingerprint not in ours and sighting.path not in self._reports:
                    yield rule, sighting
