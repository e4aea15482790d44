"""Where the report of a rule lies."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.model import Rule

REPORT_FILES = ("report.csv", "report.json", "report.html")


def report_files(rules: Iterable[Rule]) -> set[str]:
    """The files that these rules write anew all the time: they are known by their names, not by what is in them."""
    return {f"{rule.report}/{name}" for rule in rules if rule.report is not None for name in REPORT_FILES}
