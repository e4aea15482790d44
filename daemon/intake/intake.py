"""watch → settle → match → ledger: how a file becomes a job. One thread, the only one that looks for files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from daemon.editing.adoption import Adopted, Adoption, adopt_in_ledger
from daemon.errors import BlockedError, install_again
from daemon.groups.grouping import Grouping
from daemon.intake.hints import Hints
from daemon.intake.newcomers import Newcomers, by_root
from daemon.intake.scan import CHUNK, events_arrive, look, scan
from daemon.intake.settle import Settler, Sighting
from daemon.intake.watch import Watcher
from daemon.ledger import Arrival, Ledger, Move
from daemon.life.threads import beat
from daemon.model import Config, Job, Rule, State
from daemon.pipeline.meters import NO_METERS, Meters, Stage
from daemon.rulebook import Rulebook

SUPERVISE = 2.0
"""Seconds between looks at the watched folders themselves, and between scans of folders without events."""


class Intake:
    """Finds settled files that rules match and enters them in the ledger.

    `complain` gets lines for the user; `arrived` is called after jobs were entered, `ended` of each that can be no job.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        *,
        complain: Callable[[str], None],
        arrived: Callable[[], None],
        ended: Callable[[Job, Move], None] = lambda job, move: None,
        meters: Meters = NO_METERS,
    ) -> None:
        self._meters = meters
        self._rulebook = rulebook
        self._ledger = ledger
        self._complain = complain
        self._arrived = arrived
        self._ended = ended
        self._wake = threading.Event()
        self._adoption = Adoption(rulebook, ledger, self._follow_rules)
        self.hints = Hints(self._wake.set)
        self._settler = Settler(self._config.settle)
        self._unread: dict[str, str] = {}
        self._settled = False
        self._rules: dict[str, list[Rule]] = {}
        self._scan_due: dict[str, float] = {}
        self._groups = self._read_rules()
        self._watcher = Watcher(self._recursive.items(), self.hints, complain, deletions=self._groups.roots)
        self._supervise_due = 0.0

    @property
    def _config(self) -> Config:
        return self._rulebook.config

    def _read_rules(self) -> Grouping:
        """Take the rules in force. A folder is due for a scan if it has other rules than before."""
        before, self._rules = self._rules, by_root(self._config.rules)
        self._recursive = {root: any(rule.recursive for rule in rules) for root, rules in self._rules.items()}
        self._newcomers = Newcomers(self._rules, self._ledger)
        latest = time.monotonic() + self._config.rescan
        self._scan_due = {
            # Where there are groups, those that were touched and not yet looked at are forgotten with the old rules.
            root: 0.0 if before.get(root) != rules or any(each.inputs for each in rules) else min(due, latest)
            for root, rules in self._rules.items()
            for due in [self._scan_due.get(root, 0.0)]
        }
        self._renew_due = latest
        return Grouping(self._config, self._ledger, self._settler, complain=self._complain, ended=self._ended)

    # -- the thread ----------------------------------------------------------------------------------------------

    def arm(self) -> None:
        """Start watching. Before the first scan, so that no file falls between the two."""
        self._watcher.arm()
        self._supervise_due = time.monotonic() + SUPERVISE

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. A blocked ledger loses nothing: every folder is scanned again afterwards."""
        while not stop.is_set():
            beat()
            self._wake.clear()
            try:
                self.step()
            except BlockedError as error:
                self._complain(str(error))
                self._scan_soon(self._rules)
                stop.wait(1.0)
            self._wake.wait(self._pause())
        self._watcher.close()

    def wake(self) -> None:
        """End the current wait at once."""
        self._wake.set()

    def adopt(self, config: Config, adopted: Adopted) -> None:
        """Have the thread put this configuration in force: in the ledger, the rulebook, here. Then `adopted` is called.

        Here, since nothing may be entered under the old rules once the ledger goes by the new ones.
        """
        self._adoption.ask(config, adopted)
        self._wake.set()

    def _follow_rules(self) -> None:
        """The rulebook was replaced."""
        self._settler.quiet = self._config.settle
        self._settler.forget_folders(by_root(self._config.rules))
        self._groups = self._read_rules()
        self._watcher.follow(self._recursive.items(), self._groups.roots)
        if self._supervise_due:
            self._supervise_due = time.monotonic()  # arms what is new at once, and marks it for a scan

    def step(self) -> None:
        """One round: follow the hints, make the scans that are due, take what has settled."""
        self._adoption.take_place()
        now = time.monotonic()
        if self._supervise_due and now >= self._supervise_due:
            self._supervise(now)
        self._settled = False
        files, dirty = self.hints.drain()
        self._scan_soon(dirty)
        self._follow(files)
        for root in [root for root, due in self._scan_due.items() if now >= due]:
            if root in self._rules:  # an edit may have come between two scans
                with self._meters.timed(Stage.SCAN):
                    self._scan(root)
        self._take_ripe()
        if self._groups.enter():
            self._arrived()
        self._settled = all(self._scan_due.values()) and not len(self._settler)

    @property
    def settled(self) -> bool:
        """Whether every folder was scanned, every hint followed, and nothing found is still waiting to be still."""
        return not self.hints and self._settled  # in this order: a hint is taken off only after _settled was cleared

    def unwatched(self) -> int:
        """How many folders have no events, and are scanned all the time instead."""
        return len(self._watcher.unwatched()) if self._supervise_due else 0

    def unreadable(self) -> dict[str, str]:
        """Folders that cannot be read, and why: nothing in them is found."""
        problems = self._unread | self._watcher.missing()
        if again := install_again():  # the unit may hide the folder
            lately = f"not there; if config.yaml names it since lately: {again}"
            problems |= {root: lately for root, problem in problems.items() if problem == "not there"}
        return {root: problem for root, problem in problems.items() if root in self._rules}

    # -- its parts -----------------------------------------------------------------------------------------------

    def _supervise(self, now: float) -> None:
        self._supervise_due = now + SUPERVISE
        if now >= self._renew_due:
            self._renew_due = now + self._config.rescan
            self._watcher.renew()
        elif grown := self.hints.drain_grown():
            self._watcher.renew(grown)
        self._watcher.arm()
        self._scan_soon(self._groups.changed_fixed())
        if self._orphans():
            adopt_in_ledger(self._ledger, self._config)

    def _orphans(self) -> bool:
        """Whether jobs wait for rules that are gone: put back while the rules were replaced, or retried since."""
        counts, rules = self._ledger.counts(), self._rulebook.rules
        return any(states.get(State.WAITING) for rule, states in counts.items() if rule not in rules)

    def _scan_soon(self, roots: Iterable[str]) -> None:
        self._scan_due |= dict.fromkeys((root for root in roots if root in self._rules), 0.0)

    def _follow(self, files: dict[tuple[str, str], bool]) -> None:
        seen = dict[str, list[Sighting]]()
        for (root, relative), closed in files.items():
            if (sighting := look(root, relative, closed=closed)) is None:
                self._settler.forget(root, relative)
                self._groups.gone(root, relative)
            else:
                seen.setdefault(root, []).append(sighting)
        for root, sightings in seen.items():
            if root not in self._rules:
                continue  # of a job made when the configuration still watched that folder
            for start in range(0, len(sightings), CHUNK):
                self._consider(root, sightings[start : start + CHUNK])

    def _scan(self, root: str) -> None:
        often = root in self._watcher.unwatched() or not events_arrive(root)
        self._scan_due[root] = time.monotonic() + (SUPERVISE if often else self._config.rescan)
        try:
            for found in scan(root, recursive=self._recursive[root], complain=self._complain):
                self._consider(root, found)
                self._adoption.take_place()  # a huge folder must not keep an edit waiting
                if root not in self._rules:
                    return
            self._groups.touch_waiting(root)
            if self._unread.pop(root, None):
                self._complain(f"{root}: can be read again")
        except OSError as error:
            if self._unread.get(root) != (problem := error.strerror or str(error)):
                self._unread[root] = problem
                self._complain(f"{root}: {problem}; nothing in it is taken until it can be read")

    def _take_ripe(self) -> None:
        again = dict[str, list[Sighting]]()
        for held in self._settler.ripe(time.monotonic()):
            now = look(held.root, held.relative, closed=held.closed)
            if now is not None and now.fingerprint == held.fingerprint:
                self._scan_soon(self._groups.still(now))
                again.setdefault(held.root, []).append(now)
            elif now is not None:
                self._settler.hold(now, time.monotonic())
            else:
                self._groups.gone(held.root, held.relative)
        for root, sightings in again.items():
            self._enter(root, self._newcomers.among(root, sightings))

    def _consider(self, root: str, sightings: Sequence[Sighting]) -> None:
        """Enter what is new and provably still; hold what is new and not."""
        beat()
        for sighting in sightings:
            self._groups.touch(root, sighting.relative, closed=sighting.closed)
        ready = list[tuple[Rule, Sighting]]()
        for rule, sighting in self._newcomers.among(root, sightings):
            if self._settler.still(sighting, time.time()):
                ready.append((rule, sighting))
            else:
                self._settler.hold(sighting, time.monotonic())
        self._enter(root, ready)

    def _enter(self, root: str, ready: Iterable[tuple[Rule, Sighting]]) -> None:
        reason = f"found, still for {self._config.settle:g} s"
        arrivals = [Arrival(rule.name, root, s.relative, s.fingerprint, reason) for rule, s in ready]
        if arrivals:
            self._ledger.add(arrivals)
            self._arrived()

    def _pause(self) -> float:
        now = time.monotonic()
        waits = [due - now for due in self._scan_due.values()]
        if self._supervise_due:
            waits.append(self._supervise_due - now)
        if (ripe := self._settler.next_ripe(now)) is not None:
            waits.append(ripe)
        return min(max(0.0, min(waits)), SUPERVISE)
