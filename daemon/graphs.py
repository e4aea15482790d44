"""The compiled graph of every rule: found in the store at once, or built in a child process while work goes on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.model import Rule
from daemon.rulebook import Rulebook
from daemon.runtime import Runtime
from daemon.work import Recipe
from export.store import ExportError, GraphStore
from kernels.chain import Chain

RETRY = 5.0
"""Seconds before a failed export is tried again: its cause (a full disk) may have passed."""


class Graphs:
    """Recipes by rule. A rule whose graph is not there yet has none, and its jobs wait; tasks have no graph."""

    def __init__(
        self, rulebook: Rulebook, runtime: Runtime, *, complain: Callable[[str], None], ready: Callable[[], None]
    ) -> None:
        self._rulebook = rulebook
        self._store = GraphStore(rulebook.config.state_dir / "graphs")
        self._runtime = runtime
        self._complain = complain
        self._ready = ready
        self._changed = threading.Event()
        self._recipes: dict[Rule, Recipe] = {}
        self._trouble: dict[Rule, str] = {}

    def _rules(self) -> list[Rule]:
        return [rule for rule in self._rulebook.rules.values() if not rule.is_task]

    def recipe_of(self, rule: Rule) -> Recipe | None:
        """The recipe of a rule, once its graph is there."""
        return self._recipes.get(rule)

    def missing(self) -> list[str]:
        """Rules that wait for their graph."""
        return [rule.name for rule in self._rules() if rule not in self._recipes]

    def trouble(self) -> dict[str, str]:
        """Rules whose graph could not be built, and why."""
        trouble = self._trouble.copy()  # the thread that builds takes from it
        return {rule.name: trouble[rule] for rule in self._rules() if rule in trouble}

    def devices(self) -> dict[str, str]:
        """The device that each rule's graph ran on last, or will; rules without a graph are left out."""
        recipes = [(rule.name, self._recipes.get(rule)) for rule in self._rules()]
        graphs = [(rule, recipe.graph) for rule, recipe in recipes if recipe is not None]
        return {rule: self._runtime.device_of(graph) for rule, graph in graphs if graph is not None}

    def find(self) -> None:
        """Take every graph that the store already has. One that its device does not compute rightly is trouble of its
        rule, whose jobs wait, and of no other (docs/decisions/009-proof.md)."""
        for rule in self._rules():
            if rule not in self._recipes and (graph := self._store.find(rule.chain)) is not None:
                try:
                    self._take(rule, graph)
                except DarkroomError as error:
                    self._in_trouble(rule, str(error))

    def look_for_new(self) -> None:
        """The rules were edited: close the graphs that none has any more, and have the thread see to the new ones."""
        rules = self._rules()
        # Copies: the thread that builds adds to them meanwhile. What it adds to the old ones it finds again.
        self._recipes = {rule: recipe for rule, recipe in self._recipes.copy().items() if rule in rules}
        self._trouble = {rule: why for rule, why in self._trouble.copy().items() if rule in rules}
        self._runtime.keep([recipe.graph for recipe in self._recipes.values() if recipe.graph is not None])
        self._changed.set()

    def wake(self) -> None:
        """End the current wait at once."""
        self._changed.set()

    def run(self, stop: threading.Event) -> None:
        """Build what is missing, one graph at a time, until `stop` is set."""
        while not stop.is_set():
            self._changed.clear()
            self.find()
            for rule in self._rules():
                if rule not in self._recipes and not stop.is_set():
                    self._build(rule, stop)
            self._changed.wait(RETRY)

    def _build(self, rule: Rule, stop: threading.Event) -> None:
        try:
            graph = self._store.ensure(rule.chain, cancel=lambda: stop.is_set() or rule not in self._rules())
            self._take(rule, graph)
        except (ExportError, DarkroomError) as error:
            if not stop.is_set() and rule in self._rules():
                self._in_trouble(rule, str(error))

    def _in_trouble(self, rule: Rule, why: str) -> None:
        if self._trouble.get(rule) != why:
            self._trouble[rule] = why
            self._complain(f"{rule.name}: no graph yet: {why}")

    def _take(self, rule: Rule, graph: Path) -> None:
        if note := self._runtime.load(graph):
            self._complain(f"{rule.name}: {note}")
        self._trouble.pop(rule, None)
        self._recipes[rule] = Recipe(graph, recipe_key(self._store.key(rule.chain), rule))
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
