"""What a result is to be called: `on_conflict` of its rule, held against what stands there and whose it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from daemon.errors import DarkroomError, OutputRefused
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Intent, Ledger, Move, OutputRecord
from daemon.model import Fingerprint, Job, OnConflict, Rule
from daemon.publishing.entries import entry_of
from daemon.publishing.outputs import discard, numbered
from daemon.publishing.template import MAX_NAME
from daemon.rulebook import Rulebook


class Taken(DarkroomError):
    """The name is somebody else's, and the rule then wants no output; the text is the reason for skipping."""

    kind = "skipped"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a result under its temporary name. `suffix` is added to the output's name; the output has none."""

    temporary: str
    fingerprint: Fingerprint
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A result in its temporary files, the output first, ready to be published. `done` is the move to make then.

    A rule that only reports has no parts: what it measured stands in the move.
    """

    job: Job
    rule: Rule
    target: str
    parts: tuple[Part, ...]
    done: Move

    def discard(self) -> None:
        """Remove the temporary files."""
        for part in self.parts:
            discard(part.temporary)


def refuse_long(path: str) -> None:
    """Raise OutputRefused for a name that no file can have."""
    if len(os.fsencode(os.path.basename(path))) > MAX_NAME:
        raise OutputRefused(f"{path}: the name has more than {MAX_NAME} bytes; rename the picture")


class Placement:
    """Chooses names. What lies beside an output goes with it: both together are one name, taken or free."""

    def __init__(self, rulebook: Rulebook, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rulebook = rulebook

    def written(self, names: Sequence[str]) -> dict[str, OutputRecord]:
        """What is known of the files that stand under these names, and were written under them or others.

        One folder can have two names: rules that write through a link and past it meet in it.
        """
        found = self._ledger.written(names)
        for name in names:
            status, record = status_of(name), found.get(name)
            if status is not None and (record is None or record.fingerprint != fingerprint_of(status)):
                record = self._ledger.written_as(fingerprint_of(status))
                found |= {name: record} if record else {}
        return found

    def intents(self, item: Encoded, record: OutputRecord | None, taken: set[str]) -> tuple[Intent, ...]:
        """The renames to make, the output's first. `record` is of the file at its target; `taken` names are spoken for.

        Raises Taken, and OutputRefused for names that would destroy something or cannot be.
        """
        output = self._output(item, record, taken)
        return (output, *self._beside(item, output.target))

    def _beside(self, item: Encoded, target: str) -> list[Intent]:
        """The renames of the files that lie beside an output, whose name is chosen."""
        intents = list[Intent]()
        for number, part in enumerate(item.parts[1:], 1):
            name = target + part.suffix
            refuse_long(name)
            if os.path.isdir(name):
                raise OutputRefused(f"{name}: a folder stands where the measurements go; move it away")
            if self._foreign(item.job, name) and self._is_watched(name):
                raise OutputRefused(
                    f"{name}: a file in a watched folder that darkroom did not write stands there; change `output`"
                )
            intents.append(Intent(item.job.id, part.temporary, name, False, part.fingerprint, number))
        return intents

    def _output(self, item: Encoded, record: OutputRecord | None, taken: set[str]) -> Intent:
        """The rename of the output."""
        status = status_of(item.target)
        mine = not any(self._foreign(item.job, item.target + part.suffix) for part in item.parts[1:])
        if mine and (status is None or self._ours(record, item.job, status)):
            exclusive = status is None and item.rule.on_conflict is not OnConflict.OVERWRITE
            return _to(item, item.target, exclusive=exclusive)
        if os.path.realpath(item.target) in map(os.path.realpath, self._sources(item)):
            raise OutputRefused(f"{item.target}: the output would overwrite its own source; change `output`")
        if item.rule.on_conflict is OnConflict.SKIP:
            there = item.target if status is not None else item.target + item.parts[-1].suffix
            raise Taken(f"{there} exists and is not from this source (on_conflict: skip)")
        if item.rule.on_conflict is OnConflict.RENAME:
            return self._renamed(item, taken)
        if status is None or self._ours(record, item.job, status):
            return _to(item, item.target, exclusive=False)
        if record is not None and record.fingerprint == fingerprint_of(status) and not item.rule.keeps_source:
            raise OutputRefused(
                f"{item.target}: is the output of {record.source}, and sources are not kept, so nothing would be left"
                " of it; set on_conflict: rename, or put {dir} and {name} into `output`"
            )
        if record is None and self._is_watched(item.target):
            raise OutputRefused(
                f"{item.target}: a file in a watched folder that darkroom did not write stands there;"
                " change `output`, or set on_conflict to rename"
            )
        return _to(item, item.target, exclusive=False)

    def _foreign(self, job: Job, name: str) -> bool:
        """Whether a file stands there that is not what darkroom last wrote there from the same source."""
        status = status_of(name)
        return status is not None and not self._ours(self.written([name]).get(name), job, status)

    def _ours(self, record: OutputRecord | None, job: Job, status: os.stat_result) -> bool:
        """Whether the file that stands at the target is what darkroom last wrote there from the same source."""
        if record is None or record.source != job.path or not self._same_rule(record.rule, job):
            return False
        return record.fingerprint == fingerprint_of(status)

    def _same_rule(self, rule: str, job: Job) -> bool:
        """The ledger is asked where the rule may have been renamed while the job was on its way."""
        return rule == (self._ledger.rules_of([job])[job.id] if self._rulebook.renamed else job.rule)

    def _sources(self, item: Encoded) -> list[str]:
        """The files that a result was made of."""
        members = self._ledger.members([item.job.id]).get(item.job.id, ()) if item.rule.inputs else ()
        return [member.path for member in members] or [item.job.path]

    def _is_watched(self, target: str) -> bool:
        """Whether a file lies in a watched folder, whatever links lead there."""
        roots = {root for rule in self._rulebook.rules.values() for root in rule.watch}
        return os.path.realpath(target).startswith(tuple(f"{os.path.realpath(root)}/" for root in roots))

    def _renamed(self, item: Encoded, taken: set[str]) -> Intent:
        """`NAME-1`, `NAME-2`, …: the first that is free, or that this source's last output already has."""
        for number in count(1):
            name = numbered(item.target, number)
            status = status_of(name)
            ours = status is not None and self._ours(self.written([name]).get(name), item.job, status)
            mine = not any(self._foreign(item.job, name + part.suffix) for part in item.parts[1:])
            if entry_of(name) not in taken and mine and (ours or status is None):
                return _to(item, name, exclusive=not ours)
        raise AssertionError("count() has no end")


def _to(item: Encoded, target: str, *, exclusive: bool) -> Intent:
    output = item.parts[0]
    return Intent(item.job.id, output.temporary, target, exclusive, output.fingerprint)


def status_of(path: str) -> os.stat_result | None:
    """What stands at a path, links not followed; None if nothing does."""
    try:
        return os.lstat(path)
    except OSError:
        return None
