"""Edits of config.yaml on their way into force: first in the ledger, then in the rulebook, then wherever rules count.

One after another, in the order they were saved, and none is left out: a rule that one save renamed and the next one
changed is still the same rule. What fails under way is done again from where it failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from daemon.editing.identity import known_as
from daemon.ledger import Ledger
from daemon.model import Config
from daemon.rulebook import Rulebook, homeless

Adopted: TypeAlias = Callable[[Mapping[str, str]], None]
"""Told that a configuration is in force, with the new names, by the old, of the rules that were only renamed."""


@dataclass(slots=True)
class _Edit:
    config: Config
    adopted: Adopted
    renamed: Mapping[str, str] | None = None
    """None: the ledger does not go by it yet. It tells of new names only once."""


class Adoption:
    """`ask` from any thread; `take_place` from the one that enters files: nothing may be entered under the old rules
    once the ledger goes by the new ones. `follow` is called when the rulebook has them.
    """

    def __init__(self, rulebook: Rulebook, ledger: Ledger, follow: Callable[[], None]) -> None:
        self._rulebook = rulebook
        self._ledger = ledger
        self._follow = follow
        self._edits: deque[_Edit] = deque()

    def ask(self, config: Config, adopted: Adopted) -> None:
        """Have this configuration put in force, after those that were asked for before."""
        self._edits.append(_Edit(config, adopted))

    def take_place(self) -> None:
        """Put in force what was asked for. Raises BlockedError; the rest is done at the next call."""
        while self._edits:
            edit = self._edits[0]
            with self._rulebook.changing:
                if edit.renamed is None:  # before the rulebook: a job that lost its home must not be claimed
                    edit.renamed = adopt_in_ledger(self._ledger, edit.config)
                self._rulebook.replace(edit.config, renamed=bool(edit.renamed))
            self._follow()
            edit.adopted(edit.renamed)
            self._edits.popleft()


def adopt_in_ledger(ledger: Ledger, config: Config) -> dict[str, str]:
    """Have the ledger's jobs belong to these rules; new names, by the old, of those only renamed."""
    rules = config.rules_by_name()
    known = {name: known_as(rule) for name, rule in rules.items()}
    return ledger.adopt(known, lambda job, members: homeless(rules.get(job.rule), job, members))
