"""The intake played through without consequences: what it would enter in the ledger, and what it found there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from daemon.editing.adoption import adopt_in_ledger
from daemon.editing.identity import known_as
from daemon.intake.intake import Intake
from daemon.ledger import Arrival, Move
from daemon.ledger.reading import ReadLedger
from daemon.model import Config, Fingerprint, Job, State
from daemon.rulebook import Rulebook

ROUNDS = 10
"""Steps of the intake, each of which may find what the one before could not decide; two are enough."""


class Key(NamedTuple):
    """Which file or group of which rule."""

    rule: str
    root: str
    relative: str


class Rehearsal(ReadLedger):
    """A ledger that notes what would be entered. `known`: the newest job of every file and group that was found."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, copies=True)
        self.arrivals: dict[Key, Arrival] = {}
        self.known: dict[Key, Job] = {}

    def add(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Note what would be entered. The ids are of no job."""
        self.arrivals |= {Key(each.rule, each.root, each.relative): each for each in arrivals}
        return [0] * len(arrivals)

    def advance(self, moves: Sequence[Move], *, durable: bool = False) -> None:
        """Nothing changes its state."""

    def latest(self, rule: str, root: str, relatives: Sequence[str]) -> dict[str, Fingerprint]:
        """As in every ledger; what was added is known, too."""
        known = {name: job.fingerprint for name, job in self.newest_groups(rule, root, relatives).items()}
        added = {name: self.arrivals.get(Key(rule, root, name)) for name in relatives}
        return known | {name: each.fingerprint for name, each in added.items() if each}

    def newest_groups(self, rule: str, root: str, names: Sequence[str]) -> dict[str, Job]:
        """As in every ledger."""
        found = super().newest_groups(rule, root, names)
        self.known |= {Key(rule, root, name): job for name, job in found.items()}
        return found

    def jobs(
        self, state: State | None = None, rule: str | None = None, limit: int = -1, ids: Sequence[int] | None = None
    ) -> list[Job]:
        """As in every ledger; but none by its id: the intake asks for those that fail, and would leave receipts."""
        return [] if ids is not None else super().jobs(state, rule, limit)


def rehearse(config: Config, ledger: Rehearsal) -> Mapping[str, str]:
    """Let the intake look at every watched folder, and take files for still. Folders that cannot be read, and why."""
    trouble: dict[str, str] = {}
    identities = {rule.name: known_as(rule).identity for rule in config.rules}
    if ledger.known_rules() not in ({}, identities):  # an edit that no daemon has put in force yet
        adopt_in_ledger(ledger, config)

    def complain(text: str) -> None:
        folder, _, problem = text.partition(": ")
        trouble.setdefault(folder, problem)

    intake = Intake(Rulebook(replace(config, settle=0.0)), ledger, complain=complain, arrived=lambda: None)
    for _ in range(ROUNDS):
        intake.step()
        if intake.settled:
            break
    missing = dict.fromkeys(
        (folder for folder in trouble if not os.path.lexists(folder)), "not there; darkroom makes it"
    )
    return trouble | missing
