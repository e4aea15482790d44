"""What `darkroom run` says when it starts: on what it computes, where to drop pictures, and what it does with them."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.graphs import Graphs
from daemon.groups import partners
from daemon.model import Config, SourceAction
from daemon.runtime import Runtime
from daemon.version import darkroom_version
from kernels.chain import describe

AFTERWARDS = {SourceAction.KEEP: "", SourceAction.DELETE: ", then deletes the source"}


def announcement(config: Config, runtime: Runtime, graphs: Graphs) -> Iterator[str]:
    """Line by line."""
    yield f"darkroom {darkroom_version()}: {config.path}, on the {runtime.label}"
    if runtime.choice:
        yield runtime.choice
    for rule in config.rules:
        tail = AFTERWARDS.get(rule.source.action, ", then moves the source")
        for folder in rule.watch:
            yield f"  {rule.name}: drop pictures into {folder}"
        if rule.inputs:
            yield f"      each job needs {partners.wanted(rule)}"
        yield f"      {describe(rule.chain)} → {' and '.join(rule.results)}{tail}"
    if missing := [rule for rule in graphs.missing() if rule not in graphs.trouble()]:
        yield f"compiling the graphs of {', '.join(missing)}; their pictures wait for it, once: some seconds for each"
