"""Answers for people and for programs, from the ledger alone: jobs, operators."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from daemon.errors import ConfigError, DarkroomError
from daemon.groups import partners
from daemon.ledger import Ledger, Measured
from daemon.ledger.reading import ReadLedger, is_there
from daemon.model import Job, Member, State
from daemon.publishing import findings
from kernels.chain import Chain
from kernels.parameters import suggest
from kernels.spec import operators

RuleNames: TypeAlias = Callable[[], Iterable[str]]
"""The rules of a configuration, which is read only if it must be."""


def read_ledger(state_dir: Path, timeout: float = 10.0) -> ReadLedger | None:
    """The ledger in a `state_dir`, for who only asks; None when nothing was ever processed. See ReadLedger."""
    path = state_dir / "ledger.db"
    return ReadLedger(path, timeout=timeout) if is_there(path) else None


def jobs_of(
    state_dir: Path, names: RuleNames, state: State | None, rule: str | None, limit: int
) -> list[dict[str, Any]]:
    """The stable content of `darkroom jobs --json`: newest first."""
    if (ledger := read_ledger(state_dir)) is None:
        return []
    with closing(ledger):
        check_rule(names, ledger, rule)
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


def check_rule(names: RuleNames, ledger: Ledger, rule: str | None) -> None:
    """Raise DarkroomError if no rule is called so: one that is no longer in the configuration still has its jobs."""
    counted = ledger.counts()
    if rule is None or rule in counted:
        return
    known = dict.fromkeys([*names(), *counted])
    if rule not in known:
        raise DarkroomError(f"no rule is called {rule!r}; {suggest(rule, known)}")


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
        "created": iso(job.created),
        "updated": iso(job.updated),
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


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def ago(seconds: float) -> str:
    """A time in the past, for people."""
    passed = time.time() - seconds
    when = datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{when} ({passed:.0f} s ago)" if passed < 120 else when
