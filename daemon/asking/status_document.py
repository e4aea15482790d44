"""What `darkroom status` tells, put together from the rules, the ledger, and what a live daemon knows of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from daemon.asking.answers import iso, read_ledger
from daemon.asking.promptly import WITHIN, Promptly
from daemon.errors import DarkroomError
from daemon.groups import partners
from daemon.ledger import Ledger
from daemon.model import Config, Rule, State
from daemon.tasks.trace import finite
from kernels.chain import describe


class _Counted(NamedTuple):
    """Jobs by rule and state, groups that wait by rule, and the rules by now of jobs at work."""

    counts: Mapping[str, Mapping[State, int]] = {}
    groups: Mapping[str, tuple[int, str]] = {}
    names: Mapping[int, str] = {}


def document(config: Config, live: Mapping[str, Any], promptly: Promptly) -> dict[str, Any]:
    """The stable content of `darkroom status --json`. `live` is empty where no daemon runs, or none answers.

    The ledger is asked `promptly`: while it does not answer, the numbers are 0. `ledger_trouble` says why, or what
    keeps the daemon from writing there.
    """
    tasks = live.get("tasks", [])
    trouble, (counts, groups, names) = live.get("ledger_trouble"), _Counted()
    try:
        at_work = [task["job"] for task in tasks]
        counts, groups, names = promptly.ask(lambda: _counted(config, at_work), config.state_dir / "ledger.db")
    except DarkroomError as error:
        trouble = str(error)
    return {
        "running": bool(live),
        "responding": bool(live),
        "pid": live.get("pid"),
        "version": live.get("version"),
        "started": iso(live["started"]) if "started" in live else None,
        "device": live.get("device"),
        "device_choice": live.get("device_choice") or None,
        "pictures_per_second": live.get("pictures_per_second", 0.0),
        "in_flight": live.get("in_flight", 0),
        "config": {
            "path": str(config.path),
            "since": iso(live["since"]) if "since" in live else None,
            "faults": live.get("faults", []),
            "at_next_start": live.get("held_back", []),
        },
        "ledger_trouble": trouble,
        "tasks": [_task(task | {"rule": names.get(task["job"], task["rule"])}) for task in tasks],
        "rules": [_rule(rule, counts.get(rule.name, {}), groups.get(rule.name), live) for rule in config.rules],
    }


def _counted(config: Config, at_work: Sequence[int]) -> _Counted:
    if (ledger := read_ledger(config.state_dir, timeout=WITHIN)) is None:
        return _Counted()
    with closing(ledger):
        names = {job.id: job.rule for job in ledger.jobs(ids=at_work)}
        return _Counted(ledger.counts(), _waiting(config, ledger), names)


def _waiting(config: Config, ledger: Ledger) -> dict[str, tuple[int, str]]:
    return {rule.name: partners.waiting(ledger, [rule]) for rule in config.rules if rule.inputs}


def _rule(
    rule: Rule, counts: Mapping[State, int], group: tuple[int, str] | None, live: Mapping[str, Any]
) -> dict[str, Any]:
    number, words = group or (0, "")
    return {
        "name": rule.name,
        "watch": [str(folder) for folder in rule.watch],
        "steps": describe(rule.chain),
        "output": rule.output.text if rule.publishes else None,
        "report": None if rule.report is None else str(rule.report),
        "counts": {state.value: counts.get(state, 0) for state in State},
        "incomplete": number,
        "waits_for": words if number else None,
        "compiling": rule.name in live.get("compiling", []),
        "blocked": live.get("blocked", {}).get(rule.name),
        "unreadable": {root: why for root, why in live.get("unreadable", {}).items() if Path(root) in rule.watch},
        "device": live.get("devices", {}).get(rule.name) or None,
    }


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    """A running task; `seconds_left` is None where nobody can tell yet."""
    losses = {name: finite(value) for name, value in task["losses"].items()}
    return {
        "job": task["job"],
        "rule": task["rule"],
        "picture": task["picture"],
        "device": task["device"],
        "worker": task["worker"],
        "started": iso(task["began"]),
        "step": task["step"],
        "steps": task["steps"],
        "loss": next(iter(losses.values()), None),
        "losses": losses,
        "seconds_left": task["left"],
    }
