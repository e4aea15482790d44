"""What the hooks of a configuration need of the machine. Nothing is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from daemon.hooks.values import Hook
from daemon.model import Config


def hooks_of(config: Config) -> Iterator[tuple[str, Hook]]:
    """Every hook with its place, such as `mosaic: on_failure`."""
    for rule in config.rules:
        for key, hook in (("on_failure", rule.on_failure), ("on_idle", rule.on_idle)):
            if hook is not None:
                yield f"{rule.name}: {key}", hook


def needs_network(config: Config) -> bool:
    """Whether the daemon must be let out to the network: a webhook needs it, and of a command nobody can tell."""
    return any(True for _ in hooks_of(config))


def program_of(hook: Hook, config: Config) -> str | None:
    """Where the program of a command is, for whoever asks; None: it is not there, or must not be run."""
    name = hook.shown
    if "/" in name:  # as it is started: from the folder of config.yaml
        path = os.path.join(config.path.parent, name)
        return path if os.path.isfile(path) and os.access(path, os.X_OK) else None
    return shutil.which(name)
