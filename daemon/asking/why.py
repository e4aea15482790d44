"""`darkroom why PATH`: all that was decided about a file, and why, in words a newcomer understands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from daemon.asking.answers import ago
from daemon.foresight.homes import Home, fixed_role, home_of, homes_of, own_work
from daemon.groups.groups import places_of
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger
from daemon.ledger.reading import ReadLedger
from daemon.life.lock import alive
from daemon.model import Config, Fingerprint, Job, Member, Rule, State
from daemon.publishing import findings
from daemon.unit.starting import how_to_start
from kernels.chain import describe

Live: TypeAlias = Callable[[str], Mapping[str, Any]]
"""What a live daemon knows of a rule: whether it is `compiling`, why it is `blocked`. Nothing, where none answers."""


def why(config: Config, full: str, live: Live) -> tuple[bool, list[str]]:
    """Whether the ledger knows the file with this absolute path, and all that there is to say."""
    with closing(ReadLedger(config.state_dir / "ledger.db")) as ledger:
        if told := _known(config, ledger, full, live):
            return True, told
        return False, [f"{full}: darkroom has no job for it.", *_unknown(config, ledger, full)]


def _known(config: Config, ledger: Ledger, full: str, live: Live) -> list[str]:
    lines = list[str]()
    record = ledger.written([full]).get(full)
    if record is not None and _is(full, record.fingerprint):
        lines += [f"{full}: written by darkroom, from {record.source} (job {record.job}); never taken as input."]
        jobs = ledger.jobs(ids=[record.job])
    else:
        homes = [home for rule in config.rules for home in homes_of(rule, full)]
        found = {job.id: job for home in homes for job in ledger.of_source(home.root, home.relative)}
        found |= {job.id: job for path in {full, *(home.path for home in homes)} for job in ledger.of_member(path)}
        jobs = sorted(found.values(), key=lambda job: job.id) or _of_other_roots(ledger, full)
    for job in jobs:
        lines += _tell(config, ledger, job, live)
    return lines


def _is(path: str, version: Fingerprint) -> bool:
    """Whether a file is still this one, or gone; else it is the user's own by now."""
    try:
        return fingerprint_of(os.stat(path)) == version
    except OSError:
        return True


def _of_other_roots(ledger: Ledger, full: str) -> list[Job]:
    """Jobs of rules that are no longer there: any folder above the file may have been their root."""
    parents = [str(parent) for parent in Path(full).parents if str(parent) != "/"]
    return [job for parent in parents for job in ledger.of_source(parent, full[len(parent) + 1 :])]


def _tell(config: Config, ledger: Ledger, job: Job, live: Live) -> list[str]:
    rule = config.rules_by_name().get(job.rule)
    steps = describe(rule.chain) if rule else "this rule is no longer in the configuration"
    members = ledger.members([job.id]).get(job.id, ())
    size = f"{job.fingerprint.size:,} bytes"
    what = f"group {job.relative} in {job.root}" if members else job.path
    lines = [f"{what}: job {job.id}, {job.state.value}.", f"  rule {job.rule}: {steps}", f"  version: {size}"]
    lines += [_member(member) for member in members]
    lines += [f"  lacks {job.lacks}"] if job.lacks and job.state is State.WAITING else []
    lines += [f"  {ago(when)}  {state.value}: {reason}" for when, state, reason in ledger.history(job.id)]
    if (measured := ledger.measured([job.id]).get(job.id)) is not None:
        chain = findings.chain_of(measured.steps)
        told = findings.lines(chain, measured.mse) if chain else [f"{measured.steps}, which this version does not have"]
        lines += [f"  measured {line}" for line in told]
    if job.output is not None:
        lines.append(f"  output: {job.output}" + ("" if os.path.lexists(job.output) else " (no longer there)"))
    return [*lines, *_next(config, ledger, job, rule, members, live)]


def _member(member: Member) -> str:
    fixed = ", in every group" if member.fixed else ""
    there = "" if os.path.lexists(member.path) else " (no longer there)"
    return f"  {member.role}: {member.path}, {member.fingerprint.size:,} bytes{fixed}{there}"


def _next(
    config: Config, ledger: Ledger, job: Job, rule: Rule | None, members: Sequence[Member], live: Live
) -> list[str]:
    """What will happen now, and what the user can do."""
    if job.state is State.FAILED and job.lacks is not None:
        return ["  next: see to its files as said above; a new job is then made by itself"]
    if job.state is State.FAILED:
        return [f"  next: mend the file and drop it again, or `darkroom retry {job.id}`"]
    if job.state in (State.SKIPPED, State.CANCELLED):
        return [f"  next: nothing, unless its content changes or you say `darkroom retry {job.id}`"]
    if job.state is State.RUNNING and not alive(config.state_dir):
        return [f"  next: it was broken off, and is taken up again when a daemon runs: {how_to_start(config.path)}"]
    if job.state is not State.WAITING:
        versions = [(member.path, member.fingerprint) for member in members] or [(job.path, job.fingerprint)]
        return [line for path, version in versions for line in _changed_since(config, ledger, rule, path, version)]
    if rule is None:
        return ["  next: nothing, until a rule of that name is back in the configuration"]
    if job.lacks is not None:
        return ["  next: it starts by itself once nothing is missing, while a daemon runs"]
    if not alive(config.state_dir):
        return [f"  next: it is taken when a daemon runs: {how_to_start(config.path)}"]
    now = live(job.rule)
    if now.get("compiling"):
        return ["  next: it waits until the rule's graph is compiled"]
    if now.get("blocked"):
        return [f"  next: its rule is blocked: {now['blocked']}"]
    left = job.not_before - time.time()
    return [f"  next: tried again in {left:.0f} s" if left > 0 else "  next: it is in the queue"]


def _changed_since(config: Config, ledger: Ledger, rule: Rule | None, path: str, version: Fingerprint) -> list[str]:
    try:
        same = fingerprint_of(Path(path).stat()) == version
    except OSError:
        return [f"  {path} is no longer there"]
    if same:
        return []
    home = home_of(rule, path) if rule else None
    if reason := own_work(config, ledger, path) or (home and home.refusal):
        return [f"  {path} has changed since, and is not taken: {reason}"]
    return [f"  {path} has changed since: a new job takes the new content once it is still"]


def _meant(config: Config, full: str) -> list[str]:
    """Files of that name in watched folders: who asks for `cat.jpg` may stand elsewhere."""
    folders = dict.fromkeys(folder for rule in config.rules for folder in rule.watch)
    parts = Path(full).parts[1:]
    places = [folder.joinpath(*parts[start:]) for folder in folders for start in range(len(parts))]
    return [f"  Did you mean {place}?" for place in places if os.path.isfile(place)]


def _unknown(config: Config, ledger: Ledger, full: str) -> list[str]:
    if not os.path.lexists(full):
        return ["  There is no such file.", *_meant(config, full)]
    if fixed := [(rule, role) for rule in config.rules if (role := fixed_role(rule, full)) is not None]:
        return [
            f"  It is the {role} of every group of rule {rule.name}, which has made none yet." for rule, role in fixed
        ]
    if own := own_work(config, ledger, full):
        return [f"  It is {own}; never taken as input."]
    if watching := [rule.name for rule in config.rules if full in map(str, rule.watch)]:
        return [f"  Rule {name} watches this folder: `darkroom jobs --rule {name}`." for name in watching]
    homes = [(rule, home) for rule in config.rules if (home := home_of(rule, full)) is not None]
    if not homes:
        folders = sorted({str(folder) for rule in config.rules for folder in rule.watch})
        return ["  It lies in no watched folder. Those are:", *(f"    {folder}" for folder in folders)]
    if not Path(full).is_file():
        return ["  It is not a file."]
    return [f"  rule {rule.name}: {_verdict(config, rule, home)}" for rule, home in homes]


def _verdict(config: Config, rule: Rule, home: Home) -> str:
    if home.refusal is not None:
        return home.refusal
    if not alive(config.state_dir):
        return f"would take it, but no daemon runs: {how_to_start(config.path)}"
    age = time.time() - Path(home.path).stat().st_mtime
    role = next((f" as {each.role} of {place.name}" for each, place in places_of(rule.inputs, home.relative)), "")
    return f"will take it{role} once it has been still for {config.settle:g} s (last changed {max(0.0, age):.1f} s ago)"
