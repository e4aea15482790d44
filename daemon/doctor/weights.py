"""The networks of style transfer: whose weights are here. A fault is to be without one that a rule asks for by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from daemon.doctor.values import Finding, fault, note, ok
from daemon.model import Config
from daemon.weights.weights import automatic, networks

AREA = "weights"


def examine(config: Config | None) -> Iterator[Finding]:
    """One finding a network."""
    every = networks()
    for network in every:
        if network.problem:
            names = {network.name, "auto"} if network == automatic(every) else {network.name}
            rules = list(_asking(config, names))
            where = f"{network.path}: " if network.path else ""
            wanted = f", and asked for by the rules {', '.join(rules)}" if rules else ""
            found = fault if rules else note
            yield found(AREA, network.name, f"{where}{network.problem}{wanted}", network.remedy)
        else:
            yield ok(AREA, network.name, f"{network.source}{f', at {network.path}' if network.path else ''}")


def _asking(config: Config | None, names: Collection[str]) -> Iterator[str]:
    """The rules that ask for a network of these names."""
    for rule in config.rules if config is not None else ():
        if any(dict(step.parameters).get("network") in names for step in rule.chain):
            yield rule.name
