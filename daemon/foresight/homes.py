"""Where a file lies for a rule, and why it is not taken, as a scan would: `why` and `check --explain` both say it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.foresight.refusal import refusal
from daemon.intake.scan import look
from daemon.ledger import Ledger
from daemon.model import Config, Rule
from daemon.report.files import report_files


@dataclass(frozen=True, slots=True)
class Home:
    """A file as a rule sees it: below `root`, a watched folder. `refusal`: why it is not taken; None: it is."""

    root: str
    relative: str
    refusal: str | None

    @property
    def path(self) -> str:
        """Its absolute path, by the name that the ledger has for it."""
        return f"{self.root}/{self.relative}"


def homes_of(rule: Rule, full: str) -> Iterator[Home]:
    """The file with this absolute path below every watched folder of the rule that it lies in."""
    for root in map(str, rule.watch):
        if (relative := _below(root, full)) is not None:
            reason = refusal(rule, root, relative) or _linked(root, relative) or _no_file(f"{root}/{relative}")
            yield Home(root, relative, reason)


def home_of(rule: Rule, full: str) -> Home | None:
    """The one of these by which the rule takes the file, else the first; None where it lies in none.

    Folders of a rule that takes nothing from subfolders may lie in one another: the inner one takes what is in it.
    """
    homes = list(homes_of(rule, full))
    return next((home for home in homes if home.refusal is None), homes[0] if homes else None)


def fixed_role(rule: Rule, full: str) -> str | None:
    """As what every group of the rule has this file; None if it has not."""
    fixed = {each.role: str(each.fixed) for each in rule.inputs if each.fixed is not None}
    return next((role for role, path in fixed.items() if path == full or _other_name(path) == _other_name(full)), None)


def own_work(config: Config, ledger: Ledger, full: str) -> str | None:
    """Whose work a file is, if it is darkroom's, wherever it lies by now: such a file is never taken."""
    if full in report_files(config.rules):
        return "a report of darkroom"
    sighting = look("", full)
    if sighting is None or not ledger.own([sighting.fingerprint]):
        return None
    record = ledger.written([full]).get(full)
    return f"written by darkroom, from {record.source} (job {record.job})" if record else "written by darkroom"


def _below(root: str, full: str) -> str | None:
    """The path below a watched folder, also if a link leads to that and the file is named without it."""
    for folder, path in ((root, full), (os.path.realpath(root), _other_name(full))):
        if path.startswith(f"{folder}/"):
            return path[len(folder) + 1 :]
    return None


def _other_name(full: str) -> str:
    """The path with every link to a folder in it followed. A link to a file stays: it is what a scan comes upon."""
    folder, _, name = full.rpartition("/")
    return f"{os.path.realpath(folder or '/').rstrip('/')}/{name}"


def _linked(root: str, relative: str) -> str | None:
    """Why a scan does not come to a file, though the rule would take it."""
    parents = [f"{root}/{parent}" for parent in Path(relative).parents if str(parent) != "."]
    links = [parent for parent in parents if os.path.islink(parent)]
    return f"{links[-1]} is a link to a folder, and those are not followed" if links else None


def _no_file(path: str) -> str | None:
    """Why a scan passes by what is there: a folder, a pipe, a link that leads nowhere."""
    return "not a file" if os.path.lexists(path) and look("", path) is None else None
