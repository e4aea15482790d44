"""What the doctor found: plain values, for people in two columns and for programs as JSON."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class State(enum.StrEnum):
    """How a finding is to be taken. Only a fault is something that the configuration needs and does not have."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` mends it: a command wherever there is one; "" where nothing is to be done."""

    area: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def ok(area: str, name: str, detail: str) -> Finding:
    """It works."""
    return Finding(area, name, State.OK, detail)


def note(area: str, name: str, detail: str, remedy: str = "") -> Finding:
    """Worth knowing; nothing that the configuration asks for is missing."""
    return Finding(area, name, State.NOTE, detail, remedy)


def fault(area: str, name: str, detail: str, remedy: str) -> Finding:
    """Something that the configuration needs does not work."""
    return Finding(area, name, State.FAULT, detail, remedy)


def parted(area: str, name: str, text: str, state: State = State.FAULT) -> Finding:
    """From an error of the house, `what is wrong; remedy`."""
    detail, _, remedy = text.rpartition("; ")
    return Finding(area, name, state, detail or text, remedy if detail else "")


@dataclass(frozen=True, slots=True)
class Report:
    """Everything, in the order it was looked at. `config` is the file that was read, if any."""

    version: str
    config: str | None
    findings: Sequence[Finding]

    @property
    def faults(self) -> int:
        """How many findings are faults."""
        return sum(finding.state is State.FAULT for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The stable content of `darkroom doctor --json`."""
        findings = [asdict(finding) for finding in self.findings]
        return {"version": self.version, "config": self.config, "ok": self.faults == 0, "findings": findings}

    def lines(self) -> Iterator[str]:
        """For people: an area's heading, then a mark, what was looked at, and below it what mends it."""
        area = ""
        for finding in self.findings:
            if finding.area != area:
                yield from [""] if area else []
                yield finding.area
                area = finding.area
            told = f"{finding.name}: {finding.detail}" if finding.name else finding.detail
            yield f"  {finding.state:5}  {told}"
            if finding.remedy:
                yield f"         → {finding.remedy}"
        yield ""
        yield self._verdict()

    def _verdict(self) -> str:
        if self.faults:
            return f"{self.faults} fault{'s' * (self.faults > 1)}: what the configuration needs and does not have"
        return (
            "nothing is wrong"
            if self.config
            else "nothing is wrong with the machine; there was no config.yaml to check"
        )
