"""Rules with several inputs, edited: groups that wait are held against the new patterns before anybody takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.intake.intake import Intake
from daemon.ledger import Ledger
from daemon.model import Config, State
from daemon.rulebook import INPUTS_CHANGED, Rulebook
from tests import pairs

NEAR, FAR = '"{key}.near.*"', '"{key}.far.*"'
FILES = ("castle.near.png", "castle.far.png", "tower.near.png")
Asked = tuple[str, str, str]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    pairs.known(monkeypatch)
    (tmp_path / "in").mkdir()
    for name in FILES:
        (tmp_path / "in" / name).write_bytes(b"x")

    def made(near: str = NEAR, far: str = FAR, more: str = "") -> Config:
        rule = f"name: p, watch: in, steps: [pair], output: 'out/{{key}}.png', inputs: {{near: {near}, far: {far}}}"
        path = tmp_path / "config.yaml"
        path.write_text(f"version: 1\nsettle: 0s\nrules: [{{{rule}{more}}}]\n")
        return load_config(path)

    return made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db")) as made:
        yield made


def edited(ledger: Ledger, before: Config, after: Config) -> tuple[list[Asked], list[Asked]]:
    """The jobs (group, state, reason or what it lacks) in the moment in which the edit is in force, and then."""
    intake = Intake(Rulebook(before), ledger, complain=print, arrived=lambda: None)
    intake.step()
    assert {job.relative: job.state for job in ledger.jobs()} == {"castle": State.WAITING, "tower": State.WAITING}
    found = list[list[Asked]]()

    def note(_: object = None) -> None:
        jobs = sorted(ledger.jobs(), key=lambda job: (job.relative, job.id))
        told = [job.lacks if job.state is State.WAITING and job.lacks else job.reason for job in jobs]
        found.append([(job.relative, job.state.value, each) for job, each in zip(jobs, told, strict=True)])

    intake.adopt(after, note)
    intake.step()
    note()
    return found[0], found[1]


@pytest.mark.parametrize(
    ("near", "far", "castle", "tower"),
    [
        (NEAR, '"{key}.distant.*"', "far: a file like castle.distant.*", "far: a file like tower.distant.*"),
        ('"{key}.n*.*"', FAR, None, None),
        (NEAR, "fixed.png", "far: the file", "far: the file"),
        ('"{key}.far.*"', '"{key}.near.*"', "found, still", "near: a file like tower.far.*"),
    ],
    ids=["another pattern", "a wider pattern", "a file", "exchanged"],
)
def test_groups_that_wait(
    ledger: Ledger, config: Callable[..., Config], near: str, far: str, castle: str | None, tower: str | None
) -> None:
    before = config()
    at_once, then = edited(ledger, before, config(near, far))
    if castle is None:
        assert [row[:2] for row in then] == [("castle", "waiting"), ("tower", "waiting")]
        return
    assert at_once == [("castle", "skipped", INPUTS_CHANGED), ("tower", "skipped", INPUTS_CHANGED)]
    waiting = {group: told for group, state, told in then if state == "waiting"}
    assert set(waiting) == {"castle", "tower"}
    assert waiting["castle"].startswith(castle) and waiting["tower"].startswith(str(tower))


def test_an_edit_of_anything_else_leaves_them_be(ledger: Ledger, config: Callable[..., Config]) -> None:
    before = config()
    at_once, then = edited(ledger, before, config(more=", retries: 7"))
    assert at_once == then and [row[:2] for row in then] == [("castle", "waiting"), ("tower", "waiting")]
