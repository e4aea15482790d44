"""`darkroom status`: asked of the daemon that works by a config.yaml, or read from its ledger where none lives.

Loads little before it knows that no daemon answers: an answer then takes a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.asking.whereabouts import find
from daemon.control.asker import NoAnswerError
from daemon.life.lock import alive, holder
from daemon.state import State
from daemon.tasks.view import TaskView
from daemon.unit.starting import how_to_start


def status_of(path: Path) -> dict[str, Any]:
    """The stable content of `darkroom status --json`, of the config.yaml at `path`.

    A live daemon is asked, and answers by the rules in force, even if the file has faults by now. Raises ConfigError
    where there is none and the file has, and DarkroomError if this user may not ask.
    """
    there = find(path)
    try:
        return there.ask("status")
    except NoAnswerError:
        from daemon.asking.promptly import Promptly
        from daemon.asking.status_document import document

        told = document(there.load(), {}, Promptly("ledger-status"))
        if alive(there.state_dir):  # it starts, it ends, or it hangs
            told |= {"running": True, "pid": holder(there.state_dir)}
        return told


def status_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield _head(status)
    yield from filter(None, [status["device_choice"]])
    yield from _config(status["config"])
    if status["ledger_trouble"]:
        yield f"the ledger cannot be used: {status['ledger_trouble']}"
    if compiling := [rule["name"] for rule in status["rules"] if rule["compiling"] and not rule["blocked"]]:
        yield f"compiling the graphs of {', '.join(compiling)}; their pictures wait for it, once"
    yield ""
    width = max(len(rule["name"]) for rule in status["rules"])
    yield f"{'rule':{width}}  " + "  ".join(f"{name:>9}" for name in State)
    for rule in status["rules"]:
        counts = [rule["counts"][name] for name in State]
        numbers = "  ".join(f"{number:>9,}" if number else f"{'·':>9}" for number in counts)
        yield f"{rule['name']:{width}}  {numbers}"
        for line in _more(rule, status):
            yield f"{'':{width}}  {line}"
    names = {rule["name"] for rule in status["rules"]}
    for task in [task for task in status["tasks"] if task["rule"] not in names]:
        yield f"still at work by the rule {task['rule']}, which is gone: {_task(task)}"


def _head(status: Mapping[str, Any]) -> str:
    if not status["running"]:
        return f"no daemon runs here; {how_to_start(Path(status['config']['path']))} starts one"
    if not status["responding"]:
        return f"a daemon (process {status['pid']}) is here and does not answer: it starts, ends, or hangs"
    rate = f"{status['pictures_per_second']:,.1f} pictures/s"
    return f"running (process {status['pid']}) on the {status['device']}, {rate}, since {_local(status['started'])}"


def _local(moment: str) -> str:
    """A moment of the answer, which is UTC, as the clock on the wall shows it."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _config(config: Mapping[str, Any]) -> Iterator[str]:
    if config["faults"]:
        yield f"{config['path']} was edited and has faults; the rules from before stay in force:"
        yield from (f"  {fault}" for fault in config["faults"])
    if config["at_next_start"]:
        yield f"in force after the next start of darkroom: {', '.join(config['at_next_start'])}"


def _more(rule: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[str]:
    if rule["device"] not in (None, status["device"]):
        yield f"runs on the {rule['device']}"
    if rule["waits_for"]:
        yield rule["waits_for"]
    if rule["blocked"]:
        yield f"blocked: {rule['blocked']}"
    for folder, problem in rule["unreadable"].items():
        yield f"{folder}: {problem}; nothing in it is taken until it can be read"
    for task in status["tasks"]:
        if task["rule"] == rule["name"]:
            yield _task(task)


def _task(task: Mapping[str, Any]) -> str:
    return f"job {task['job']}, {task['picture']}: {_view(task)}"


def _view(task: Mapping[str, Any]) -> TaskView:
    step, steps, losses, left = task["step"], task["steps"], task["losses"], task["seconds_left"]
    identity = (task["job"], task["rule"], task["picture"], 0.0)
    return TaskView(*identity, device=task["device"], step=step, steps=steps, losses=losses, left=left)
