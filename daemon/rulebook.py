"""The rules in force. An edit of config.yaml replaces them whole; a job that was begun ends by the rule it had then."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from daemon.groups.groups import is_made_of
from daemon.ledger.adopting import no_rule
from daemon.model import Config, Member, Rule

AT_START = ("state_dir", "runtime", "tasks", "metrics")
"""Keys of config.yaml that a running daemon keeps as they were at its start."""

INPUTS_CHANGED = "the rule's inputs were changed; its files make a new job"


class Rulebook:
    """Shared by every stage; read at any time, from any thread. Only the intake replaces it, between two rounds."""

    def __init__(self, config: Config) -> None:
        self._now = config, MappingProxyType(config.rules_by_name())
        self.changing = threading.Lock()
        """Held while the ledger and this go over to other rules: who takes jobs by the names of rules holds it too."""
        self.edited = False
        """Whether other rules were in force before: then a job in flight may be of one of those."""
        self.renamed = False
        """Whether a rule was renamed: then a job in flight may carry a name that is no rule's, or another rule's."""

    @property
    def config(self) -> Config:
        """The configuration in force, with what was set at the start."""
        return self._now[0]

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules in force, by name. A stage takes this mapping once for each thing it does: it never changes."""
        return self._now[1]

    def kept(self, config: Config) -> Config:
        """What of a new configuration can be in force now: all but AT_START."""
        return replace(config, **{key: getattr(self.config, key) for key in AT_START})

    def replace(self, config: Config, *, renamed: bool = False) -> None:
        """Put a configuration in force; `renamed`: it has rules that had other names."""
        self.renamed |= renamed
        self.edited = True
        self._now = config, MappingProxyType(config.rules_by_name())


class Entered(Protocol):
    """Of a job, where it came from, and what it waits for."""

    @property
    def rule(self) -> str: ...
    @property
    def root(self) -> str: ...
    @property
    def relative(self) -> str: ...
    @property
    def lacks(self) -> str | None: ...


def homeless(rule: Rule | None, job: Entered, members: Sequence[Member]) -> str | None:
    """Why a waiting job cannot be worked on under what its rule is now; None: it can. `members` are a group's files."""
    if rule is None:
        return no_rule(job.rule)
    if job.root not in map(str, rule.watch):
        return f"the rule no longer watches {job.root}"
    if bool(rule.inputs) != bool(members):
        return INPUTS_CHANGED
    own = [member.path.removeprefix(f"{job.root}/") for member in members if not member.fixed]
    if not all(map(rule.takes, own or [job.relative])):
        return "the rule no longer takes it: match or recursive was changed"
    if members and not is_made_of(rule.inputs, job.relative, members, job.root, job.lacks):
        return INPUTS_CHANGED
    return None
