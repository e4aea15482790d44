"""The compiled graph of every rule: found in the store at once, or built in a child process while work goes on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from daemon.errors import DarkroomError
from daemon.model import Config, Rule
from daemon.runtime import Runtime
from daemon.work import Recipe
from export.store import ExportError, GraphStore
from kernels.chain import Chain, task_of

RETRY = 5.0
"""Seconds before a failed export is tried again: its cause (a full disk) may have passed."""


class Graphs:
    """Recipes by rule. A rule whose graph is not there yet has none, and its jobs wait."""

    def __init__(
        self, config: Config, runtime: Runtime, *, complain: Callable[[str], None], ready: Callable[[], None]
    ) -> None:
        self._store = GraphStore(config.state_dir / "graphs")
        self._rules = [rule for rule in config.rules if task_of(rule.chain) is None]
        self._runtime = runtime
        self._complain = complain
        self._ready = ready
        self._recipes: dict[str, Recipe] = {}
        self.trouble: dict[str, str] = {}
        """Rules whose graph could not be built, and why."""

    def recipe_of(self, rule: str) -> Recipe | None:
        """The recipe of a rule, once its graph is there."""
        return self._recipes.get(rule)

    def missing(self) -> list[str]:
        """Rules that wait for their graph."""
        return [rule.name for rule in self._rules if rule.name not in self._recipes]

    def devices(self) -> dict[str, str]:
        """The device that each rule's graph ran on last, or will; rules without a graph are left out."""
        return {rule: self._runtime.device_of(recipe.graph) for rule, recipe in list(self._recipes.items())}

    def find(self) -> None:
        """Take every graph that the store already has. One that its device does not compute rightly is trouble of its
        rule, whose jobs wait, and of no other (docs/decisions/009-proof.md)."""
        for rule in self._rules:
            if (graph := self._store.find(rule.chain)) is not None:
                try:
                    self._take(rule, graph)
                except DarkroomError as error:
                    self._in_trouble(rule, str(error))

    def run(self, stop: threading.Event) -> None:
        """Build what is missing, one graph at a time, until all are there or `stop` is set."""
        while self.missing() and not stop.is_set():
            for rule in self._rules:
                if rule.name not in self._recipes and not stop.is_set():
                    self._build(rule, stop)
            if self.missing():
                stop.wait(RETRY)

    def _build(self, rule: Rule, stop: threading.Event) -> None:
        try:
            graph = self._store.ensure(rule.chain, cancel=stop.is_set)
            self._take(rule, graph)
        except (ExportError, DarkroomError) as error:
            if not stop.is_set():
                self._in_trouble(rule, str(error))

    def _in_trouble(self, rule: Rule, why: str) -> None:
        if self.trouble.get(rule.name) != why:
            self.trouble[rule.name] = why
            self._complain(f"{rule.name}: no graph yet: {why}")

    def _take(self, rule: Rule, graph: Path) -> None:
        if note := self._runtime.load(graph):
            self._complain(f"{rule.name}: {note}")
        self.trouble.pop(rule.name, None)
        self._recipes[rule.name] = Recipe(graph, self._key(rule))
        self._ready()

    def _key(self, rule: Rule) -> str:
        """What the result depends on besides the picture: the graph, the way it is encoded, and where it goes."""
        parts = f"{self._store.key(rule.chain)} {rule.encode} {rule.output.folder} {rule.output.text}"
        return hashlib.sha256(parts.encode(errors="surrogateescape")).hexdigest()


def graph_for(chain: Chain, directory: Path) -> Path:
    """The graph of a chain from a store, built if need be. Raises DarkroomError."""
    try:
        return GraphStore(directory).ensure(chain)
    except ExportError as error:
        raise DarkroomError(str(error)) from error
