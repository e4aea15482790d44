"""Answers for people and for programs: status, jobs, operators. Read from the ledger and the snapshot, live or not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon import findings, partners, snapshot
from daemon.errors import ConfigError, DarkroomError
from daemon.ledger import Ledger, Measured
from daemon.model import Config, Job, Member, State
from daemon.tasks.trace import finite
from daemon.tasks.view import TaskView
from kernels.chain import Chain, describe
from kernels.parameters import suggest
from kernels.spec import operators


def open_ledger(config: Config) -> Ledger | None:
    """The ledger of a configuration; None when nothing was ever processed."""
    path = config.state_dir / "ledger.db"
    return Ledger(path) if path.exists() else None


def status_of(config: Config) -> dict[str, Any]:
    """The stable content of `darkroom status --json`."""
    running = snapshot.alive(config.state_dir)
    live = snapshot.read(config.state_dir) if running else {}
    counts: dict[str, dict[State, int]] = {}
    groups: dict[str, tuple[int, str]] = {}
    if (ledger := open_ledger(config)) is not None:
        with closing(ledger):
            counts = ledger.counts()
            groups = {rule.name: partners.waiting(ledger, [rule]) for rule in config.rules if rule.inputs}
    return {
        "running": running,
        "pid": live.get("pid"),
        "version": live.get("version"),
        "started": _iso(live["started"]) if "started" in live else None,
        "device": live.get("device"),
        "device_choice": live.get("device_choice") or None,
        "pictures_per_second": live.get("pictures_per_second", 0.0),
        "tasks": [_task(task) for task in live.get("tasks", [])],
        "rules": [
            {
                "name": rule.name,
                "watch": [str(folder) for folder in rule.watch],
                "steps": describe(rule.chain),
                "output": rule.output.text if rule.publishes else None,
                "report": None if rule.report is None else str(rule.report),
                "counts": {state.value: counts.get(rule.name, {}).get(state, 0) for state in State},
                "incomplete": groups.get(rule.name, (0, ""))[0],
                "waits_for": groups[rule.name][1] if groups.get(rule.name, (0, ""))[0] else None,
                "compiling": rule.name in live.get("compiling", []),
                "blocked": live.get("blocked", {}).get(rule.name),
                "device": live.get("devices", {}).get(rule.name) or None,
            }
            for rule in config.rules
        ],
    }


def _task(task: dict[str, Any]) -> dict[str, Any]:
    """A running task, as its daemon last told of it; `seconds_left` is None where nobody can tell yet."""
    losses = {name: finite(value) for name, value in task["losses"].items()}
    return {
        "job": task["job"],
        "rule": task["rule"],
        "picture": task["picture"],
        "device": task["device"],
        "worker": task["worker"],
        "started": _iso(task["began"]),
        "step": task["step"],
        "steps": task["steps"],
        "loss": next(iter(losses.values()), None),
        "losses": losses,
        "seconds_left": task["left"],
    }


def _view(task: dict[str, Any]) -> TaskView:
    """The other way round, for people."""
    step, steps, losses, left = task["step"], task["steps"], task["losses"], task["seconds_left"]
    identity = (task["job"], task["rule"], task["picture"], 0.0)
    return TaskView(*identity, device=task["device"], step=step, steps=steps, losses=losses, left=left)


def status_text(status: dict[str, Any]) -> str:
    """The same for people."""
    head = "no daemon runs here; `darkroom run` starts one"
    if status["running"]:
        rate = f"{status['pictures_per_second']:,.1f} pictures/s"
        head = f"running (process {status['pid']}) on the {status['device']}, {rate}, since {status['started']}"
    lines = [head, *filter(None, [status["device_choice"]]), ""]
    names = [state.value for state in State]
    width = max(len(rule["name"]) for rule in status["rules"])
    lines.append(f"{'rule':{width}}  " + "  ".join(f"{name:>9}" for name in names))
    for rule in status["rules"]:
        numbers = "  ".join(f"{rule['counts'][name]:>9,}" for name in names)
        lines.append(f"{rule['name']:{width}}  {numbers}")
        if rule["device"] not in (None, status["device"]):
            lines.append(f"{'':{width}}  runs on the {rule['device']}")
        if rule["waits_for"]:
            lines.append(f"{'':{width}}  {rule['waits_for']}")
        if rule["compiling"]:
            lines.append(f"{'':{width}}  its graph is being compiled; pictures wait for it")
        if rule["blocked"]:
            lines.append(f"{'':{width}}  blocked: {rule['blocked']}")
        for task in status["tasks"]:
            if task["rule"] == rule["name"]:
                lines.append(f"{'':{width}}  job {task['job']}, {task['picture']}: {_view(task)}")
    return "\n".join(lines)


def jobs_of(config: Config, state: State | None, rule: str | None, limit: int) -> list[dict[str, Any]]:
    """The stable content of `darkroom jobs --json`: newest first."""
    if (ledger := open_ledger(config)) is None:
        return []
    with closing(ledger):
        check_rule(config, ledger, rule)
        jobs, chains = ledger.jobs(state, rule, limit), dict[str, Chain | None]()
        measured = ledger.measured([job.id for job in jobs])
        ids = [job.id for job in jobs]
        records, members = ledger.records(ids), ledger.members(ids)
        return [
            _job(job, members.get(job.id, ()))
            | _measurements(measured.get(job.id), chains)
            | json.loads(records.get(job.id, "{}"))
            for job in jobs
        ]


def _measurements(measured: Measured | None, chains: dict[str, Chain | None]) -> dict[str, Any]:
    """What a job measured. `chains` keeps the steps that were read: thousands of jobs have the same."""
    if measured is None:
        return {}
    if measured.steps not in chains:
        chains[measured.steps] = findings.chain_of(measured.steps)
    chain = chains[measured.steps]
    return {"measurements": list(measured.mse)} if chain is None else findings.summary(chain, measured.mse)


def check_rule(config: Config, ledger: Ledger, rule: str | None) -> None:
    """A rule that is no longer in the configuration still has its jobs."""
    names = dict.fromkeys([*(known.name for known in config.rules), *ledger.counts()])
    if rule is not None and rule not in names:
        raise DarkroomError(f"no rule is called {rule!r}; {suggest(rule, names)}")


def _job(job: Job, members: Sequence[Member]) -> dict[str, Any]:
    return {
        "id": job.id,
        "rule": job.rule,
        "state": job.state.value,
        "reason": job.reason,
        "source": job.path,
        "inputs": {member.role: member.path for member in members},
        "output": job.output,
        "attempts": job.attempts,
        "device": job.device,
        "created": _iso(job.created),
        "updated": _iso(job.updated),
    }


def job_lines(jobs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The same for people."""
    if not jobs:
        yield "no jobs"
    for job in jobs:
        when = datetime.fromisoformat(job["updated"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        name = Path(job["source"]).name + (f" ({partners.in_words(job['inputs'])})" if job["inputs"] else "")
        yield f"{job['id']:>6}  {job['state']:9}  {when}  {job['rule']}: {name}: {job['reason']}"


def operators_text(name: str | None) -> str:
    """Every step in a line or two, or everything about one."""
    known = operators()
    if name is None:
        return "\n\n".join(_operator(each) for each in known.values())
    if name not in known:
        raise ConfigError([f"darkroom operators: no step is called {name!r}; {suggest(name, known)}"])
    told = known[name].doc.partition("\n")[2].strip()
    return f"{_operator(known[name])}" + (f"\n\n{told}" if told else "")


def _operator(operator: Any) -> str:
    lines = [f"{operator.name}: {operator.summary}"]
    if operator.task is not None:
        further = [f"{role} with {name}: {value}" for role, (name, value) in operator.task.optional.items()]
        lines.append(f"    inputs: {', '.join([*operator.task.inputs, *further])}")
    for name, parameter in operator.parameters.items():
        lines.append(f"    {name}: {parameter.describe()}" + (f"; {parameter.doc}" if parameter.doc else ""))
    return "\n".join(lines)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def ago(seconds: float) -> str:
    """A time in the past, for people."""
    passed = time.time() - seconds
    when = datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{when} ({passed:.0f} s ago)" if passed < 120 else when
