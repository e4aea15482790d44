"""The compiled graph of every rule: found in the store at once, or built in a child process while work goes on."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from daemon.errors import DarkroomError
from daemon.model import Rule
from daemon.pipeline.work import Recipe
from daemon.rulebook import Rulebook
from daemon.runtime import Runtime
from export.store import ExportError, GraphStore
from kernels.chain import Chain

RETRY = 5.0
"""Seconds before a failed export is tried again: its cause (a full disk) may have passed."""
TIDY = 60.0
"""Seconds after which graphs that no rule has are closed, which pictures of a former rule had opened again."""


class _Graph(NamedTuple):
    """An opened graph, and its key in the store."""

    path: Path
    key: str


class Graphs:
    """Recipes by rule. A rule whose graph is not there yet has none, and its jobs wait; tasks have no graph.

    Graphs are kept by chain: an edit of anything else about a rule opens nothing anew, and waits for nothing.
    """

    def __init__(
        self, rulebook: Rulebook, runtime: Runtime, *, complain: Callable[[str], None], ready: Callable[[], None]
    ) -> None:
        self._rulebook = rulebook
        self._store = GraphStore(rulebook.config.state_dir / "graphs")
        self._runtime = runtime
        self._complain = complain
        self._ready = ready
        self._edited = threading.Event()
        self._missing = threading.Event()
        self._opened: dict[Chain, _Graph] = {}
        self._taking: list[Path] = []
        self._trouble: dict[Chain, str] = {}

    def _rules(self) -> list[Rule]:
        return [rule for rule in self._rulebook.rules.values() if not rule.is_task]

    def recipe_of(self, rule: Rule) -> Recipe | None:
        """The recipe of a rule, once its graph is there."""
        opened = self._opened.get(rule.chain)
        return None if opened is None else Recipe(opened.path, recipe_key(opened.key, rule))

    def missing(self) -> list[str]:
        """Rules that wait for their graph."""
        return [rule.name for rule in self._rules() if rule.chain not in self._opened]

    def trouble(self) -> dict[str, str]:
        """Rules whose graph could not be built, and why."""
        trouble = self._trouble.copy()  # the thread that builds takes from it
        return {rule.name: trouble[rule.chain] for rule in self._rules() if rule.chain in trouble}

    def devices(self) -> dict[str, str]:
        """The device that each rule's graph ran on last, or will; rules without a graph are left out."""
        opened = self._opened.copy()
        return {r.name: self._runtime.device_of(opened[r.chain].path) for r in self._rules() if r.chain in opened}

    def find(self) -> None:
        """Take every graph that the store already has. One that its device does not compute rightly is trouble of its
        rules, whose jobs wait, and of no other (docs/decisions/009-proof.md)."""
        for rule in self._without():
            if (graph := self._store.find(rule.chain)) is not None:
                try:
                    self._take(rule, graph)
                except DarkroomError as error:
                    self._in_trouble(rule, str(error))

    def _without(self) -> list[Rule]:
        """A rule for each chain that has no graph yet."""
        return list({rule.chain: rule for rule in self._rules() if rule.chain not in self._opened}.values())

    def look_for_new(self) -> None:
        """The rules were edited: forget the graphs that none has any more, and have the threads see to all of them."""
        chains = self._chains()
        # Copies: the thread that builds adds to them meanwhile. What it adds to the old ones it finds again.
        self._opened = {chain: graph for chain, graph in self._opened.copy().items() if chain in chains}
        self._trouble = {chain: why for chain, why in self._trouble.copy().items() if chain in chains}
        self.wake()

    def _chains(self) -> set[Chain]:
        return {rule.chain for rule in self._rules()}

    def wake(self) -> None:
        """End the current waits at once."""
        self._edited.set()
        self._missing.set()

    def open_found(self, stop: threading.Event) -> None:
        """Open what the store has, and close what no rule needs, until `stop` is set. In a thread of its own: a build
        takes seconds, and an edit may ask for a graph that is there."""
        tidied = time.monotonic()
        while not stop.is_set():
            edited = self._edited.wait(RETRY)
            self._edited.clear()
            self.find()
            if edited or time.monotonic() - tidied > TIDY:
                self._close_former()
                tidied = time.monotonic()

    def _close_former(self) -> None:
        paths = set(self._taking)  # first: what is taken is then among those opened
        self._runtime.keep(paths | {graph.path for graph in self._opened.copy().values()})

    def build_missing(self, stop: threading.Event) -> None:
        """Build what the store has not, one graph at a time, until `stop` is set."""
        while not stop.is_set():
            self._missing.clear()
            for rule in self._without():
                if not stop.is_set():
                    self._build(rule, stop)
            self._missing.wait(RETRY)

    def _build(self, rule: Rule, stop: threading.Event) -> None:
        try:
            graph = self._store.ensure(rule.chain, cancel=lambda: stop.is_set() or rule.chain not in self._chains())
            self._take(rule, graph)
        except (ExportError, DarkroomError) as error:
            if not stop.is_set() and rule.chain in self._chains():
                self._in_trouble(rule, str(error))

    def _in_trouble(self, rule: Rule, why: str) -> None:
        if self._trouble.get(rule.chain) != why:
            self._trouble[rule.chain] = why
            self._complain(f"{rule.name}: no graph yet: {why}")

    def _take(self, rule: Rule, graph: Path) -> None:
        self._taking.append(graph)
        try:
            if note := self._runtime.load(graph):
                self._complain(f"{rule.name}: {note}")
            self._trouble.pop(rule.chain, None)
            self._opened[rule.chain] = _Graph(graph, self._store.key(rule.chain))
        finally:
            self._taking.remove(graph)
        self._ready()


def recipe_key(maker: str, rule: Rule) -> str:
    """What the result depends on besides the picture: what makes it, the way it is encoded, and where it goes."""
    parts = f"{maker} {rule.encode} {rule.output.folder} {rule.output.text}"
    return hashlib.sha256(parts.encode(errors="surrogateescape")).hexdigest()


def graph_for(chain: Chain, directory: Path) -> Path:
    """The graph of a chain from a store, built if need be. Raises DarkroomError."""
    try:
        return GraphStore(directory).ensure(chain)
    except ExportError as error:
        raise DarkroomError(str(error)) from error
