"""Hooks in parts: when something is due, with a clock that is passed in; what config.yaml may say; what is needed."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.errors import ConfigError
from daemon.hooks.events import Event, Failure
from daemon.hooks.failures import FIRST, Failures
from daemon.hooks.firing import Hooks
from daemon.hooks.needs import needs_network
from daemon.hooks.stretches import Stretches
from daemon.hooks.values import FAILURE_FIELDS, IDLE_FIELDS
from daemon.hooks.words import filled
from daemon.ledger import Arrival, Ledger, Move
from daemon.model import Config, Fingerprint, Job, Rule, State
from daemon.rulebook import Rulebook
from tests.box import REPOSITORY, Box, wait_until

TOP = "version: 1\nrules:\n  - {name: a, watch: in, steps: mosaic, output: 'out/{name}'"


def config(folder: Path, *keys: str) -> Config:
    """A rule `a` with these keys."""
    path = folder / "config.yaml"
    path.write_text(", ".join([TOP, *keys]) + "}\n")
    return load_config(path)


def rule(folder: Path, *keys: str) -> Rule:
    return config(folder, *keys).rules[0]


def failure(name: str = "x.png", reason: str = "broken") -> Failure:
    return Failure(Job(7, "a", "/in", name, Fingerprint(1, 2, 3), State.RUNNING, ""), reason, 0.0)


# -- failures ----------------------------------------------------------------------------------------------------------


def due(failures: Failures, now: float, busy: tuple[str, ...] = (), at_once: bool = False) -> list[int]:
    return [event.values["count"] for event in failures.due(now, busy, at_once=at_once)]


def test_failures_are_told_together(tmp_path: Path) -> None:
    hooked, failures = rule(tmp_path, "on_failure: {command: [x], every: 10s}"), Failures()
    assert due(failures, 0) == [] and failures.next_due() == float("inf")
    failures.note(hooked, failure())
    assert due(failures, 100) == [1], "the first at once"
    for _ in range(1000):
        failures.note(hooked, failure())
    assert due(failures, 109.9) == [] and failures.next_due() == 110
    assert due(failures, 110, busy=("a",)) == []
    (event,) = failures.due(110, (), at_once=False)
    assert event.values["count"] == 1000 and len(event.failures) == FIRST
    failures.note(hooked, failure())
    assert due(failures, 111) == [] and due(failures, 111, at_once=True) == [1]


def test_failures_of_a_rule_without_a_hook_are_nothing(tmp_path: Path) -> None:
    failures = Failures()
    failures.note(rule(tmp_path), failure())
    assert failures.rest() == []


def test_failures_go_with_a_new_name(tmp_path: Path) -> None:
    hooked, failures = rule(tmp_path, "on_failure: {command: [x]}"), Failures()
    failures.note(hooked, failure())
    failures.renamed({"a": "b"})
    assert due(failures, 0, busy=("b",)) == [] and due(failures, 0) == [1]


# -- stretches ---------------------------------------------------------------------------------------------------------


def test_a_stretch_ends_when_there_was_quiet(tmp_path: Path) -> None:
    hooked, stretches = rule(tmp_path, "on_idle: {command: [x], after: 30s}"), Stretches()
    stretches.note(hooked, State.WAITING, 0)
    assert stretches.quiet(100, at_once=True) == [], "what is to be tried again begins nothing"
    stretches.note(hooked, State.DONE, 100)
    stretches.note(hooked, State.SKIPPED, 120)
    assert stretches.quiet(149, at_once=False) == [] and stretches.quiet(150, at_once=False) == ["a"]
    stretches.goes_on(hooked, 150)
    assert stretches.quiet(179, at_once=False) == [] and stretches.next_due() == 180
    event = stretches.close(hooked, 0)
    assert event is not None and event.values.items() >= {"count": 2, "done": 1, "skipped": 1, "seconds": 20}.items()
    assert stretches.quiet(1000, at_once=True) == []


def test_a_stretch_whose_hook_went_tells_nobody(tmp_path: Path) -> None:
    stretches = Stretches()
    stretches.note(rule(tmp_path, "on_idle: {command: [x]}"), State.DONE, 0)
    assert stretches.close(rule(tmp_path), 0) is None


def test_only_rules_without_work_are_idle(tmp_path: Path) -> None:
    """The ledger is asked: a job that waits is work, of its own rule alone."""
    told = "on_idle: {command: [sh, -c, 'echo $DARKROOM_RULE >> told'], after: 0}"
    path = tmp_path / "config.yaml"
    path.write_text("".join([TOP, f", {told}}}\n", TOP.partition("rules:\n")[2].replace("a,", "b,"), f", {told}}}\n"]))
    both = load_config(path)
    both.state_dir.mkdir()
    with closing(Ledger(both.state_dir / "ledger.db")) as ledger:
        ledger.add([Arrival("b", str(tmp_path), "x.png", Fingerprint(1, 2, 3), "new")])
        hooks = Hooks(Rulebook(both), pytest.fail)
        hooks.start()
        for name in ("a", "b"):
            hooks.note(replace(failure().job, rule=name), Move(7, State.DONE, ""))
        wait_until((tmp_path / "told").exists)
        hooks.finish(lambda: False)
    assert (tmp_path / "told").read_text() == "a\n"


# -- what is told ------------------------------------------------------------------------------------------------------


def events(folder: Path) -> tuple[Event, Event]:
    hooked = rule(folder, "on_failure: {command: [x, '{reason}']}", "on_idle: {command: [x]}")
    failures, stretches = Failures(), Stretches()
    failures.note(hooked, failure("caf\udce9\n.png", "a NUL \0, half a pair \ud800 " + "x" * 100_000))
    stretches.note(hooked, State.DONE, 0)
    (failed,) = failures.due(0, (), at_once=False)
    idle = stretches.close(hooked, 0)
    assert idle is not None
    return failed, idle


def test_every_field_has_its_value(tmp_path: Path) -> None:
    failed, idle = events(tmp_path)
    assert failed.values.keys() == FAILURE_FIELDS.keys() and idle.values.keys() == IDLE_FIELDS.keys()


def test_every_field_is_documented() -> None:
    page = (REPOSITORY / "docs" / "notifications.md").read_text(encoding="utf-8")
    for fields, other, key in ((FAILURE_FIELDS, IDLE_FIELDS, "on_failure"), (IDLE_FIELDS, FAILURE_FIELDS, "on_idle")):
        for name in fields:
            (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`{{{name}}}`" in line]
            assert row.split("|")[2].strip() == ("both" if name in other else f"`{key}`")


def test_what_no_process_could_be_given(tmp_path: Path) -> None:
    """A NUL, half of a pair of surrogates, bytes that are no text, too much of it."""
    failed, _ = events(tmp_path)
    word = filled(failed.hook.command, failed.values)[1]
    assert word.startswith(b"a NUL \\0, half a pair \\ud800 x") and len(word) < 3000
    told = json.loads(failed.document())
    assert told["picture"] == "caf\\udce9\n.png" and len(failed.document()) < 10_000


# -- config.yaml -------------------------------------------------------------------------------------------------------

FAULTS = {
    "on_failure: notify-send": "on_failure: text is not a mapping; write {command: ",
    "on_failure: {}": "on_failure: it has neither a command nor a webhook; write {command: ",
    "on_failure: {command: [x], webhook: 'https://h'}": "on_failure.webhook: it has a command and a webhook; ",
    "on_failure: {comand: [x]}": "on_failure.comand: 'comand' is not a key here; did you mean command? ",
    "on_failure: {command: notify-send secret}": "on_failure.command: it is not a list; write a list of words, as in ",
    "on_failure: {command: []}": "on_failure.command: it is empty; write a list of words",
    "on_failure: {command: ['']}": "on_failure.command[0]: the program has no name; name one",
    "on_failure: {command: ['{rule}']}": "on_failure.command[0]: the program cannot depend on the event; ",
    "on_failure: {command: [x, 5]}": 'on_failure.command[1]: 5 is not text; put it in quotes: "5"',
    "on_failure: {command: [x, {rule}]}": "on_failure.command[1]: without quotes, text that starts with { is a mapping",
    "on_failure: {command: [x, '{pictur}']}": "on_failure.command[1]: {pictur} is not a field; did you mean {pict",
    "on_failure: {command: [x, '{']}": "on_failure.command[1]: a { without its partner; write {{ for the sign itself",
    "on_failure: {command: [sh, -c, 'rm {picture}']}": "on_failure.command[2]: {picture} in a script: ",
    "on_failure: {command: [sudo, bash, -ec, '{reason}']}": "on_failure.command[3]: {reason} in a script: ",
    "on_failure: {command: [x], after: 1s}": "on_failure.after: 'after' is not a key here",
    "on_failure: {command: [x], timeout: 10}": "on_failure.timeout: 10 is not a duration; write 500ms or 2s",
    "on_failure: {command: [x], timeout: 0}": "on_failure.timeout: 0 is out of range; 100ms to 1h is possible",
    "on_idle: {command: [x, '{picture}']}": "on_idle.command[1]: {picture} is not a field; known: {event}, {rule}",
    "on_idle: {webhook: 'ftp://secret/'}": "on_idle.webhook: it is not an address of http or https; write ",
    "on_idle: {webhook: 'https://h:port/secret'}": "on_idle.webhook: it is not an address of http or https; write ",
    "on_idle: {webhook: 'https://h/{rule} secret'}": "on_idle.webhook: it is empty, or has a character that no address",
    "on_idle: {webhook: [secret]}": 'on_idle.webhook: it is not text; write "https://..."',
}


@pytest.mark.parametrize("key", FAULTS)
def test_faults(tmp_path: Path, key: str) -> None:
    """None shows what may be secret."""
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, key)
    (fault,) = refused.value.faults
    assert f": rules[0].{FAULTS[key]}" in fault and "secret" not in fault


def test_a_script_is_taken_as_it_stands(tmp_path: Path) -> None:
    script = """printf '{"a": 1}' "${DARKROOM_PICTURE}" "$1\""""
    hook = rule(tmp_path, f"on_failure: {{command: [sh, -c, {json.dumps(script)}, sh, '{{picture}}']}}").on_failure
    assert hook is not None
    assert filled(hook.command, {"picture": "p"}) == [b"sh", b"-c", script.encode(), b"sh", b"p"]


@pytest.mark.parametrize("address", ["https://me:pw@host:8443/secret?secret#secret", "http://[::1]:80/secret"])
def test_an_address_is_shown_without_its_secrets(tmp_path: Path, address: str) -> None:
    hook = rule(tmp_path, f"on_failure: {{webhook: '{address}'}}").on_failure
    assert hook is not None and hook.webhook == address
    assert hook.shown in ("https://host:8443", "http://[::1]:80")


def test_defaults(tmp_path: Path) -> None:
    hooked = rule(tmp_path, "on_failure: {command: [~/x]}", "on_idle: {webhook: 'http://h'}")
    assert hooked.on_failure is not None and hooked.on_idle is not None
    assert (hooked.on_failure.timeout, hooked.on_failure.every, hooked.on_idle.after) == (10, 10, 30)
    assert hooked.on_failure.shown == os.path.expanduser("~/x")


# -- what is needed ----------------------------------------------------------------------------------------------------


def test_the_network_is_needed_for_any_hook(tmp_path: Path) -> None:
    assert not needs_network(config(tmp_path))
    assert needs_network(config(tmp_path, "on_idle: {webhook: 'http://h'}"))
    assert needs_network(config(tmp_path, "on_failure: {command: [curl]}"))


def test_the_doctor_looks_for_programs(box: Box) -> None:
    box.drop("mine.sh", b"#!/bin/sh").chmod(0o755)
    box.drop("text", b"no program")
    box.rules("on_failure: {command: [./mine.sh]}\non_idle: {command: [no-such-program]}")
    said = box.darkroom("doctor", check=1).stdout
    assert f"  ok     mosaic: on_failure: ./mine.sh: {box.folder}/./mine.sh" in said.splitlines()
    assert "  fault  mosaic: on_idle: no-such-program: no such program that may be run" in said.splitlines()
    box.rules("on_failure: {command: [./text]}\non_idle: {webhook: 'https://host/secret'}")
    said = box.darkroom("doctor", check=1).stdout
    assert "./text: no such program" in said and "https://host: not tried" in said and "secret" not in said
