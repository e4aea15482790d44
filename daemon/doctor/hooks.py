"""The hooks of rules: is there what they start? Nothing is started, and nobody is told anything."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.doctor.values import Finding, fault, note, ok
from daemon.hooks.needs import hooks_of, program_of
from daemon.model import Config

AREA = "hooks"


def examine(config: Config) -> Iterator[Finding]:
    """Each hook of each rule."""
    for place, hook in hooks_of(config):
        name = f"{place}: {hook.shown}"
        if hook.webhook:
            yield note(AREA, name, "not tried: whoever listens there would be told of something that was not")
        elif (found := program_of(hook, config)) is not None:
            yield ok(AREA, name, found)
        else:
            remedy = "install it, or write its whole path; the daemon looks for it by its own PATH"
            yield fault(AREA, name, "no such program that may be run", remedy)
