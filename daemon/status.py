"""`darkroom status`: asked of the daemon that works by a config.yaml, or read from its ledger where none lives.

Loads little before it knows that no daemon answers: an answer then takes a moment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.control import NoAnswerError, ask
from daemon.lock import alive, holder
from daemon.state import State
from daemon.tasks.view import TaskView
from daemon.whereabouts import state_dir_in_use

_STATE_DIR = re.compile(
    r"""^state_dir\s*:\s*(?:"([^"\\]+)"|'([^']+)'|([^"'\s#&*!|>{\[][^#\n]*?))\s*(?:#.*)?$""", re.MULTILINE
)


def status_of(path: Path) -> dict[str, Any]:
    """The stable content of `darkroom status --json`, of the config.yaml at `path`.

    A live daemon is asked, and answers by the rules in force, even if the file has faults by now. Raises ConfigError
    where there is none and the file has, and DarkroomError if this user may not ask.
    """
    state_dir = state_dir_of(path)
    try:
        return ask(state_dir, "status")
    except NoAnswerError:
        from daemon.config import load_config
        from daemon.status_document import document

        told = document(replace(load_config(path), state_dir=state_dir), {})
        if alive(state_dir):  # it starts, it ends, or it hangs
            told |= {"running": True, "pid": holder(state_dir)}
        return told


def state_dir_of(path: Path) -> Path:
    """The `state_dir` of a config.yaml; of one with faults as well, if a daemon works there by it.

    Raises ConfigError where there is no telling.
    """
    guessed = state_dir_in_use(path, _at_a_glance(path))
    try:
        if ask(guessed, "config").get("path") == os.path.abspath(path):
            return guessed
    except NoAnswerError:
        pass
    from daemon.config import load_config

    return state_dir_in_use(path, load_config(path).state_dir)


def _at_a_glance(path: Path) -> Path:
    """Where a file seems to say that its state is. Whoever answers there is asked for its file, so a guess will do."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = _STATE_DIR.search(text)
    named = next(filter(None, found.groups()), "var") if found else "var"
    return Path(path.absolute().parent, Path(named).expanduser())


def status_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield _head(status)
    yield from filter(None, [status["device_choice"]])
    yield from _config(status["config"])
    if status["ledger_trouble"]:
        yield f"the ledger cannot be read: {status['ledger_trouble']}"
    yield ""
    width = max(len(rule["name"]) for rule in status["rules"])
    yield f"{'rule':{width}}  " + "  ".join(f"{name:>9}" for name in State)
    for rule in status["rules"]:
        numbers = "  ".join(f"{rule['counts'][name]:>9,}" for name in State)
        yield f"{rule['name']:{width}}  {numbers}"
        for line in _more(rule, status):
            yield f"{'':{width}}  {line}"
    names = {rule["name"] for rule in status["rules"]}
    for task in [task for task in status["tasks"] if task["rule"] not in names]:
        yield f"still at work by the rule {task['rule']}, which is gone: {_task(task)}"


def _head(status: Mapping[str, Any]) -> str:
    if not status["running"]:
        return "no daemon runs here; `darkroom run` starts one"
    if not status["responding"]:
        return f"a daemon (process {status['pid']}) is here and does not answer: it starts, ends, or hangs"
    rate = f"{status['pictures_per_second']:,.1f} pictures/s"
    return f"running (process {status['pid']}) on the {status['device']}, {rate}, since {status['started']}"


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
    if rule["compiling"]:
        yield "its graph is being compiled; pictures wait for it"
    if rule["blocked"]:
        yield f"blocked: {rule['blocked']}"
    for task in status["tasks"]:
        if task["rule"] == rule["name"]:
            yield _task(task)


def _task(task: Mapping[str, Any]) -> str:
    return f"job {task['job']}, {task['picture']}: {_view(task)}"


def _view(task: Mapping[str, Any]) -> TaskView:
    step, steps, losses, left = task["step"], task["steps"], task["losses"], task["seconds_left"]
    identity = (task["job"], task["rule"], task["picture"], 0.0)
    return TaskView(*identity, device=task["device"], step=step, steps=steps, losses=losses, left=left)
