"""Edits as the ledger takes them: which rule is which, what becomes of jobs that wait; then faults on the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.editing.adoption import Adoption, adopt_in_ledger
from daemon.editing.changes import changes
from daemon.editing.identity import known_as
from daemon.ledger import Arrival, Ledger, Move
from daemon.model import Config, Fingerprint, Rule, State
from daemon.pipeline.claiming import Claiming
from daemon.pipeline.verdict import Blockades
from daemon.pipeline.work import Recipe, Work
from daemon.rulebook import Rulebook
from tests.box import COMPARED, MOSAIC, Box, Pixels, wait_until
from tests.reload.test_reload import configure, rule, said, until

A, B = rule("a", "one"), rule("b", "two")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db")) as made:
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Config]:
    """A configuration with these rules."""

    def made(*rules: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(f"version: 1\nrules:\n{''.join(rules)}")
        return load_config(path)

    return made


def arrival(config: Config, name: str, picture: str) -> Arrival:
    (folder,) = config.rules_by_name()[name].watch
    return Arrival(name, str(folder), picture, Fingerprint(1, 2, 3), "found")


def rules_of(ledger: Ledger) -> dict[str, str]:
    """The rule that each picture belongs to; where it waits no more, its state."""
    return {job.relative: job.rule if job.state is State.WAITING else job.state.value for job in ledger.jobs()}


@pytest.mark.parametrize(
    ("edited", "renamed", "jobs", "told"),
    [
        ((rule("b", "one"), rule("a", "two")), {"a": "b", "b": "a"}, {"1": "b", "2": "a"}, ["a is now", "b is now"]),
        ((rule("b", "one"), rule("c", "two")), {"a": "b", "b": "c"}, {"1": "b", "2": "c"}, ["a is now", "b is now"]),
        ((rule("b", "one"),), {"a": "b"}, {"1": "b", "2": "skipped"}, ["a is now", "b removed"]),
        ((rule("b", "one", COMPARED), B.replace("b", "c", 1)), {"b": "c"}, {"1": "skipped", "2": "c"},
         ["b added", "a removed", "b is now"]),
        ((rule("c", "one"), rule("d", "one"), B), {}, {"1": "skipped", "2": "b"}, ["c added", "d added", "a removed"]),
        ((A, rule("b", "one")), {}, {"1": "a", "2": "skipped"}, ["b changed"]),
        ((A, B), {}, {"1": "a", "2": "b"}, []),
    ],
    ids=["exchanged", "handed on", "taken over", "handed on, and a new one", "nobody can tell", "the same", "none"],
)  # fmt: skip
def test_which_rule_is_which(
    ledger: Ledger,
    config: Callable[..., Config],
    edited: tuple[str, ...],
    renamed: dict[str, str],
    jobs: dict[str, str],
    told: list[str],
) -> None:
    before = config(A, B)
    adopt_in_ledger(ledger, before)
    ledger.add([arrival(before, "a", "1"), arrival(before, "b", "2")])
    after = config(*edited)
    assert adopt_in_ledger(ledger, after) == renamed
    assert rules_of(ledger) == jobs
    lines = list(changes(before, after, renamed))
    assert [line.startswith(f"rule {start}") for line, start in zip(lines, told, strict=True)] == [True] * len(told), (
        lines
    )
    found: dict[str, dict[State, int]] = {}
    for job in ledger.jobs():
        states = found.setdefault(job.rule, {})
        states[job.state] = states.get(job.state, 0) + 1
    assert ledger.counts() == found


def test_a_name_that_is_handed_on_leaves_the_jobs_of_its_rule_behind(
    ledger: Ledger, config: Callable[..., Config]
) -> None:
    """Else the done job of the one would be a newer one of the other about the same file, which would be skipped."""
    before = config(rule("b", "in"), rule("a", "in", COMPARED))
    adopt_in_ledger(ledger, before)
    ledger.add([arrival(before, name, "1") for name in ("b", "a")])
    (done,) = ledger.claim(["a"], 1, "taken")
    ledger.advance([Move(done.id, State.DONE, "done")])
    after = config(rule("a", "in"))
    assert adopt_in_ledger(ledger, after) == {"b": "a"}
    (waits,) = ledger.claim(["a"], 9, "taken")
    assert waits.relative == "1" and ledger.newest([waits]) == {waits.id: waits.id}
    assert {job.rule: job.state for job in ledger.jobs()} == {"a": State.RUNNING, "a (gone)": State.DONE}
    assert ledger.counts()["a"][State.RUNNING] == 1 and ledger.counts()["a (gone)"][State.DONE] == 1


def test_nobody_takes_jobs_by_old_names(ledger: Ledger, config: Callable[..., Config]) -> None:
    """Names are exchanged while another thread claims, which waits for the ledger's lock meanwhile."""
    first = rule("a", "one"), rule("b", "two", COMPARED)
    before, after = config(*first), config(rule("b", "one"), rule("a", "two", COMPARED))
    adopt_in_ledger(ledger, before)
    for name in ("a", "b"):
        (folder,) = before.rules_by_name()[name].watch
        ledger.add([Arrival(name, str(folder), f"{n}.png", Fingerprint(1, n, n), "found") for n in range(5000)])
    rulebook, stop, wrong = Rulebook(before), threading.Event(), list[Work]()
    claiming = Claiming(rulebook, ledger, Blockades(), lambda rule: Recipe(Path("x"), "k"), task=False)

    def claim() -> None:
        while not stop.is_set():
            wrong.extend(work for work in claiming.claim(64) if work.job.root not in map(str, work.rule.watch))

    adoption = Adoption(rulebook, ledger, lambda: None)
    thread = threading.Thread(target=claim)
    thread.start()
    for config_now in (after, before, after):
        adoption.ask(config_now, lambda renamed: None)
        adoption.take_place()
    stop.set()
    thread.join()
    assert not wrong


def test_a_source_is_due_only_while_its_rule_goes_on(ledger: Ledger, config: Callable[..., Config]) -> None:
    """A rule that takes the name of one that deletes its sources deletes nothing of what that one did."""
    acts = "source: delete"
    before = config(rule("a", "one", MOSAIC, acts), rule("b", "two", MOSAIC, acts))
    adopt_in_ledger(ledger, before)
    ids = ledger.add([arrival(before, "a", "1"), arrival(before, "b", "2")])
    ledger.claim(["a", "b"], 9, "taken")
    ledger.advance([Move(job, State.DONE, "done", source_due=True) for job in ids])
    adopt_in_ledger(ledger, config(rule("b", "one", MOSAIC, acts)))
    assert [(job.rule, job.relative) for job in ledger.source_due()] == [("b", "1")]


# -- what a rule is --------------------------------------------------------------------------------------------------


def test_an_upgrade_that_adds_keys_changes_no_rule(config: Callable[..., Config]) -> None:
    @dataclass(frozen=True, slots=True)
    class LaterRule(Rule):
        brightness: float = 1.0
        marks: tuple[str, ...] = field(default=("a",))

    (now,) = config(A).rules
    later = LaterRule(**{name: getattr(now, name) for name in Rule.__dataclass_fields__})
    assert known_as(later) == known_as(now)
    brighter = LaterRule(**{name: getattr(now, name) for name in Rule.__dataclass_fields__}, brightness=2.0)
    assert known_as(brighter).identity != known_as(now).identity


def test_what_rules_are_is_told_as_ever() -> None:
    """If this fails, an upgrade together with a renamed rule has every picture of that rule done again. Undo what
    changed it, or say so in the changelog.
    """
    path = Path(__file__).parent / "every_key.yaml"
    for name, kept in json.loads(path.with_suffix(".json").read_text()).items():
        known = known_as(load_config(path).rules_by_name()[name])
        assert [known.identity, known.takes] == kept, name


# -- a large backlog -------------------------------------------------------------------------------------------------


def test_an_edit_of_a_rule_with_a_large_backlog(ledger: Ledger, config: Callable[..., Config]) -> None:
    """100,000 jobs that wait. Seconds of the processor, not of the clock: the machine may be busy with other tests."""
    before, number = config(A, B), 100_000
    adopt_in_ledger(ledger, before)
    arrivals = [arrival(before, "a", f"{each % 97}/{each}.jpg") for each in range(number)]
    for start in range(0, number, 10_000):
        ledger.add(arrivals[start : start + 10_000])
    for edited in ((rule("c", "one"), B), (rule("c", "one", COMPARED), B), (B,), (rule("c", "one", COMPARED), B)):
        after, began = config(*edited), time.process_time()
        adopt_in_ledger(ledger, after)
        assert time.process_time() - began < 2.0, edited
    assert ledger.counts() == {"c": {State.SKIPPED: number}}


# -- faults on the way -----------------------------------------------------------------------------------------------

FAILS_ONCE = """
from daemon import graphs
from daemon.errors import BlockedError
real = graphs.Graphs.look_for_new
def look(self):
    graphs.Graphs.look_for_new = real
    raise BlockedError("the disk is full")
graphs.Graphs.look_for_new = look
"""
WAITS = """
import os, time
from daemon.editing import adoption
real = adoption.adopt_in_ledger
def slow(*given):
    while os.path.exists("hold"):
        time.sleep(0.02)
    return real(*given)
adoption.adopt_in_ledger = slow
"""
DIES = """
import os
from daemon.rulebook import Rulebook
Rulebook.replace = lambda *given, **named: os.kill(os.getpid(), 9)
"""


def test_a_disk_that_is_full_after_the_ledger_went_by_the_new_rules(box: Box) -> None:
    configure(box, rule())
    daemon = box.start(before=FAILS_ONCE)
    configure(box, rule("renamed"))
    said(daemon, "config.yaml: rule mosaic is now called renamed")
    assert not daemon.said("rule mosaic removed") and daemon.said("the disk is full")


def test_a_save_that_comes_before_the_one_before_it_is_in_force(box: Box, small: Pixels) -> None:
    """Renamed, and changed by the next save: two edits, both told, and nothing is done again."""
    configure(box, rule())
    box.drop("in/1.png", small)
    daemon = box.start(before=WAITS)
    until(box, "1.png", "done")
    box.drop("hold", b"")
    configure(box, rule("renamed"), rule("other", "first"))
    wait_until((box.folder / "first").exists, what="the first edit to be read: its folders are made then")
    configure(box, rule("renamed", "in", COMPARED), rule("other", "second"))
    wait_until((box.folder / "second").exists, what="the second edit to be read")
    assert not daemon.said("config.yaml: rule")
    (box.folder / "hold").unlink()
    said(daemon, "config.yaml: rule renamed changed: steps")
    assert daemon.said("rule mosaic is now called renamed")
    box.drop("in/2.png", small)
    until(box, "2.png", "done")
    assert [job["rule"] for job in box.jobs()] == ["renamed"] * 2


def test_a_kill_between_the_ledger_and_the_rulebook(box: Box, small: Pixels) -> None:
    configure(box, rule())
    box.drop("in/1.png", small)
    box.once()
    daemon = box.start(before=DIES)
    configure(box, rule("renamed"))
    daemon.process.wait(30)
    box.drop("in/2.png", small)
    box.once()
    assert {job["source"][-5:]: (job["rule"], job["state"]) for job in box.jobs()} == {
        "1.png": ("renamed", "done"),
        "2.png": ("renamed", "done"),
    }
    assert len(box.jobs()) == 2
