"""Whether the service needs a graphics card, or a network."""

from __future__ import annotations

from daemon.hooks import needs as hooks
from daemon.model import Config
from daemon.unit.values import Host


def needs_card(config: Config, host: Host) -> bool:
    """Whether a card is used: one is asked for by name, or `auto` may find one on this machine."""
    tasks = any(rule.is_task for rule in config.rules)
    asked = [config.runtime.device, *([config.tasks.device] if tasks else [])]
    return any(device != "cpu" and (device != "auto" or host.cards) for device in asked)


def needs_network(config: Config) -> bool:
    """Whether the service speaks to anything outside its machine: its hooks may."""
    return hooks.needs_network(config)
