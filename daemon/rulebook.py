"""The rules in force. An edit of config.yaml replaces them whole; a job that was begun ends by the rule it had then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from daemon.model import Config, Job, Rule
from kernels.chain import canonical

AT_START = ("state_dir", "runtime", "tasks", "metrics")
"""Keys of config.yaml that a running daemon keeps as they were at its start."""


class Rulebook:
    """Shared by every stage; read at any time, from any thread. Only the intake replaces it, between two rounds."""

    def __init__(self, config: Config) -> None:
        self._now = config, MappingProxyType(config.rules_by_name())
        self.edited = False
        """Whether other rules were in force before: then a job in flight may be of one of those."""

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

    def replace(self, config: Config) -> None:
        """Put a configuration in force."""
        self.edited = True
        self._now = config, MappingProxyType(config.rules_by_name())


def identity_of(rule: Rule) -> str:
    """All that a rule is, but its name: two that agree in it are one rule under two names."""
    told = f"{canonical(rule.chain)} {replace(rule, name='', chain=())!r}"
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()


def homeless(rule: Rule | None, job: Job, *, grouped: bool) -> str | None:
    """Why a waiting job cannot be worked on under what its rule is now; None: it can. `grouped`: it has several files.

    A group is held against its rule's patterns where it is put together (see grouping.py), and only its folder here.
    """
    if rule is None:
        return f"config.yaml has no rule {job.rule} any more"
    if Path(job.root) not in rule.watch:
        return f"the rule no longer watches {job.root}"
    if bool(rule.inputs) != grouped:
        return "the rule's inputs were changed; its files make a new job"
    if not grouped and not rule.takes(job.relative):
        return "the rule no longer takes it: match or recursive was changed"
    return None
