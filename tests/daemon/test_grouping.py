"""How files become the job of a group: real folders, a real ledger, one round at a time."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import BlockedError
from daemon.groups.patterns import Pattern
from daemon.intake import intake as place
from daemon.intake.intake import Intake
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger, Move
from daemon.model import Config, Input, Job, Rule, State
from daemon.publishing.template import Template
from daemon.rulebook import Rulebook
from kernels.chain import parse_chain
from tests import pairs
from tests.box import wait_until
from tests.daemon.test_intake import Entrance
from tests.pairs import FAR, NEAR

BELOW = Input("far", Pattern.parse("{key}/far.*"))


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs.known(monkeypatch)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db")) as opened:
        yield opened


class Door(Entrance):
    """An intake over rules with inputs."""

    def __init__(self, folder: Path, ledger: Ledger, *rules: Rule, settle: float = 0.2) -> None:
        super().__init__(folder, ledger, *rules, settle=settle)
        self.failed = list[str]()
        config = Config(folder / "config.yaml", folder / "var", rules, settle=settle, rescan=300)
        self.intake = Intake(
            Rulebook(config), ledger, complain=self.complaints.append, arrived=self._arrived, ended=self._ended
        )

    def _ended(self, job: Job, move: Move) -> None:
        assert move.to is State.FAILED
        self.failed.append(job.relative)

    def touched(self, *names: str) -> None:
        """Hints of files, followed to their end."""
        for name in names:
            self.intake.hints.file(str(self.folder / "in"), name, closed=False)
        self.settle()

    def settle_until(self, condition: Callable[[], bool]) -> None:
        def settled() -> bool:
            self.settle()
            return condition()

        wait_until(settled)

    def rescan(self) -> None:
        self.intake.hints.folder(str(self.folder / "in"))
        self.settle()

    def remove(self, name: str) -> None:
        (self.folder / "in" / name).unlink()
        self.touched(name)

    @property
    def newest(self) -> Job:
        return self.ledger.jobs(limit=1)[0]

    def files(self, job: Job) -> dict[str, str]:
        return {m.role: m.path.removeprefix(f"{self.folder}/") for m in self.ledger.members([job.id])[job.id]}


def rule(folder: Path, *inputs: Input, name: str = "r", **more: object) -> Rule:
    (folder / "in").mkdir(exist_ok=True)
    output = Template.parse("out/{dir}/{key}.png", folder)
    chain = parse_chain("pair")
    return Rule(name, (folder / "in",), chain, output, inputs=inputs or (NEAR, FAR), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", list(itertools.permutations(["castle.near.jpg", "castle.far.jpg"])))
def test_members_in_any_order(tmp_path: Path, ledger: Ledger, names: tuple[str, str]) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.settle()
    door.drop(f"in/{names[0]}")
    door.touched(names[0])
    waiting = door.newest
    missing = "far" if "near" in names[0] else "near"
    assert waiting.state is State.WAITING and waiting.reason == f"waits for {missing}: a file like castle.{missing}.*"
    assert ledger.claim(["r"], 9, "taken") == [] and ledger.incomplete() == {"r": 1}
    door.drop(f"in/{names[1]}")
    door.touched(names[1])
    (job,) = ledger.claim(["r"], 9, "taken")
    assert (job.relative, job.lacks) == ("castle", None) and ledger.incomplete() == {}
    assert door.files(job) == {"near": "in/castle.near.jpg", "far": "in/castle.far.jpg"}
    assert job.id == waiting.id  # one group, one job
    assert door.complaints == [] and door.failed == []


def test_found_by_a_scan_and_found_once(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    for name in ("castle.near.jpg", "castle.far.png", "a/castle.near.jpg", "a/castle.far.jpg", "b/tower.far.jpg"):
        door.drop(f"in/{name}")
    door.drop("in/note.near.txt")
    door.drop("in/lonely.jpg")
    door.settle()
    door.rescan()
    assert sorted((job.relative, job.lacks is None) for job in ledger.jobs()) == [
        ("a/castle", True),
        ("b/tower", False),
        ("castle", True),
    ]


def test_by_subfolder(tmp_path: Path, ledger: Ledger) -> None:
    near = Input("near", Pattern.parse("{key}/near.*"))
    door = Door(tmp_path, ledger, rule(tmp_path, near, BELOW))
    for name in ("castle/near.jpg", "castle/far.jpg", "2024/tower/near.jpg", "2024/tower/far.png", "tower/far.png"):
        door.drop(f"in/{name}")
    door.settle()
    assert sorted(job.relative for job in ledger.claim(["r"], 9, "taken")) == ["2024/tower", "castle"]
    assert ledger.incomplete() == {"r": 1}


def test_names_and_subfolders_mixed(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path, NEAR, BELOW))
    door.settle()
    door.drop("in/castle/far.jpg")
    door.touched("castle/far.jpg")
    assert door.newest.reason == "waits for near: a file like castle.near.*"
    door.drop("in/castle.near.jpg")
    door.touched("castle.near.jpg")
    assert door.files(door.newest) == {"near": "in/castle.near.jpg", "far": "in/castle/far.jpg"}
    assert door.newest.lacks is None


def test_fixed_file(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come late, lie in the watched folder itself, and change: every group is then made anew."""
    monkeypatch.setattr(place, "SUPERVISE", 0.05)
    inputs = Input("near", Pattern.parse("{key}.*")), Input("far", fixed=tmp_path / "in/style.png")
    door = Door(tmp_path, ledger, rule(tmp_path, *inputs))
    door.drop("in/a.png")
    door.drop("in/b.png")
    door.intake.arm()
    try:
        door.settle()
        assert [job.lacks for job in ledger.jobs()] == [f"far: the file {tmp_path}/in/style.png"] * 2
        door.drop("in/style.png")
        door.settle_until(lambda: ledger.incomplete() == {})
        jobs = ledger.claim(["r"], 9, "taken")
        assert sorted(job.relative for job in jobs) == ["a", "b"]
        ledger.advance([Move(job.id, State.DONE, "done") for job in jobs])
        door.drop("in/style.png", age=0, content=b"other")
        door.settle_until(lambda: len(ledger.jobs(State.WAITING)) == 2)
        (far,) = [m for m in ledger.members([door.newest.id])[door.newest.id] if m.fixed]
        assert far.fingerprint == fingerprint_of((tmp_path / "in/style.png").stat())
    finally:
        door.intake._watcher.close()


def test_changed_member_is_a_new_job(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    door.drop("in/castle.far.jpg")
    door.settle()
    (first,) = ledger.claim(["r"], 9, "taken")
    ledger.advance([Move(first.id, State.DONE, "done")])
    door.drop("in/castle.far.jpg", age=30, content=b"other")
    door.touched("castle.far.jpg")
    (second,) = ledger.claim(["r"], 9, "taken")
    assert second.id != first.id and second.fingerprint != first.fingerprint
    assert ledger.newest([first]) == {first.id: second.id}
    assert [job.id for job in ledger.of_member(str(tmp_path / "in/castle.near.jpg"))] == [first.id, second.id]


def test_doubles(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    for name in ("castle.near.jpg", "castle.near.png", "castle.far.jpg"):
        door.drop(f"in/{name}")
    door.settle()
    door.rescan()
    (job,) = ledger.jobs()
    assert job.state is State.FAILED and door.failed == ["castle"]
    assert job.reason.startswith("two files for near, castle.near.jpg and castle.near.png; take one")
    assert job.reason in (tmp_path / "out/castle.error.txt").read_text()
    door.remove("castle.near.png")
    (new,) = ledger.claim(["r"], 9, "taken")
    assert door.files(new) == {"near": "in/castle.near.jpg", "far": "in/castle.far.jpg"}


def test_doubles_that_were_not_told_of_before_a_kill(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    door.drop("in/castle.near.png")

    def die(moves: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(ledger, "advance", die)
        door.settle()
    assert door.newest.state is State.WAITING and ledger.claim(["r"], 9, "taken") == []
    again = Door(tmp_path, ledger, rule(tmp_path))
    again.settle()
    assert again.newest.state is State.FAILED and len(ledger.jobs()) == 1 and again.failed == ["castle"]


def test_one_file_in_two_groups(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.far.jpg")
    door.settle()
    assert sorted((job.relative, job.state) for job in ledger.jobs()) == [
        ("castle", State.FAILED),
        ("castle.near", State.FAILED),
    ]
    assert all("castle.near.far.jpg is both" in job.reason for job in ledger.jobs())


def test_a_file_belongs_to_the_special_case(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path, Input("near", Pattern.parse("{key}.*")), FAR))
    door.drop("in/castle.far.jpg")
    door.settle()
    assert ledger.incomplete() == {"r": 1}
    door.drop("in/castle.jpg")
    door.touched("castle.jpg")
    assert ledger.incomplete() == {} and {job.relative for job in ledger.jobs()} == {"castle"}
    assert door.files(door.newest) == {"near": "in/castle.jpg", "far": "in/castle.far.jpg"}


def test_vanished_members(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    door.settle()
    door.remove("castle.near.jpg")
    skipped = door.newest
    assert skipped.state is State.SKIPPED and skipped.reason.startswith("gone")
    door.drop("in/castle.near.jpg")
    door.rescan()
    assert door.newest.state is State.WAITING and ledger.incomplete() == {"r": 1}
    (tmp_path / "in/castle.near.jpg").unlink()  # while nobody watches
    later = Door(tmp_path, ledger, rule(tmp_path))
    later.settle()
    assert ledger.incomplete() == {} and later.newest.state is State.SKIPPED


def test_member_that_vanishes_before_the_group_is_taken(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    door.drop("in/castle.far.jpg")
    door.settle()
    door.remove("castle.near.jpg")
    assert ledger.claim(["r"], 9, "taken") == [] and ledger.incomplete() == {"r": 1}
    door.remove("castle.far.jpg")
    assert ledger.incomplete() == {}


@pytest.mark.parametrize("state", [State.RUNNING, State.DONE, State.FAILED, State.CANCELLED])
def test_what_is_left_of_a_group_that_was_taken_is_no_job(tmp_path: Path, ledger: Ledger, state: State) -> None:
    """Sources are deleted one by one; the one that is left for a moment must not look like half a new group."""
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    door.drop("in/castle.far.jpg")
    door.settle()
    if state is State.CANCELLED:
        ledger.advance([Move(door.newest.id, state, "no")])
    else:
        (job,) = ledger.claim(["r"], 9, "taken")
        if state is not State.RUNNING:
            ledger.advance([Move(job.id, state, "over")])
    door.remove("castle.near.jpg")
    door.remove("castle.far.jpg")
    assert len(ledger.jobs()) == 1 and door.newest.state is state
    door.drop("in/castle.near.jpg", content=b"new")
    door.touched("castle.near.jpg")
    assert ledger.incomplete() == {"r": 1}


def test_unsettled_members_hold_the_group(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path), settle=0.3)
    door.drop("in/castle.near.jpg", age=-86400)  # from a camera whose clock is ahead
    far = door.drop("in/castle.far.jpg", age=0)
    for length in range(8):
        far.write_bytes(b"x" * length)
        door.intake.hints.file(str(tmp_path / "in"), "castle.far.jpg", closed=False)
        door.intake.step()
        assert ledger.jobs() == [] and not door.intake.settled
        time.sleep(0.05)  # a slow writer is the point
    door.settle()
    (job,) = ledger.claim(["r"], 9, "taken")
    assert len(ledger.jobs()) == 1 and job.fingerprint.size == 8


def test_closed_files_are_taken_sooner(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path), settle=60)
    door.settle()
    for name in ("castle.near.jpg", "castle.far.jpg"):
        door.drop(f"in/{name}", age=0)
        door.intake.hints.file(str(tmp_path / "in"), name, closed=True)
    door.settle()
    assert [job.relative for job in ledger.claim(["r"], 9, "taken")] == ["castle"]


def test_members_of_the_future_that_come_one_after_the_other(tmp_path: Path, ledger: Ledger) -> None:
    """Neither is still by its own times: that we saw it still must not be forgotten over the other."""
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.settle()
    door.drop("in/castle.near.jpg", age=-86400)
    door.intake.hints.file(str(tmp_path / "in"), "castle.near.jpg", closed=False)
    door.intake.step()
    time.sleep(0.1)  # half of the first one's wait
    door.drop("in/castle.far.jpg", age=-86400)
    door.touched("castle.far.jpg")
    assert [job.relative for job in ledger.claim(["r"], 9, "taken")] == ["castle"]


def test_own_outputs_are_no_members(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    own = door.drop("in/castle.far.jpg")
    door.settle()
    (job,) = ledger.claim(["r"], 9, "taken")
    written = door.drop("in/tower.far.jpg")
    ledger.record_receipt(str(written), job.id, fingerprint_of(written.stat()))
    door.drop("in/tower.near.jpg")
    door.touched("tower.far.jpg", "tower.near.jpg")
    assert door.newest.reason == "waits for far: a file like tower.far.*" and own.exists()


def test_two_rules_on_one_folder(tmp_path: Path, ledger: Ledger) -> None:
    plain = replace(
        rule(tmp_path), name="all", inputs=(), chain=parse_chain("grayscale"), match=("*.jpg",), recursive=False
    )
    swapped = rule(tmp_path, Input("near", Pattern.parse("{key}.far.*")), BELOW, name="s")
    door = Door(tmp_path, ledger, rule(tmp_path), plain, swapped)
    door.drop("in/castle.near.jpg", age=0)
    door.drop("in/castle.far.jpg", age=0)
    door.settle()
    found = sorted((job.rule, job.relative, job.lacks is None) for job in ledger.jobs())
    assert found == [
        ("all", "castle.far.jpg", True),
        ("all", "castle.near.jpg", True),
        ("r", "castle", True),
        ("s", "castle", False),
    ]


def test_flat_rule_leaves_subfolders_alone(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path, recursive=False))
    for folder in ("", "deep/"):
        door.drop(f"in/{folder}castle.near.jpg")
        door.drop(f"in/{folder}castle.far.jpg")
    door.settle()
    assert door.names() == ["castle"]


def test_names_that_are_not_utf8(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    key = os.fsdecode(b"gr\xfc\xdfe")
    door.drop(f"in/{key}.near.jpg")
    door.settle()
    assert door.newest.relative == key and ledger.incomplete() == {"r": 1}
    door.drop(f"in/{key}.far.jpg")
    door.drop(f"in/{key}.far.png")
    door.rescan()
    assert door.newest.state is State.FAILED
    door.remove(f"{key}.far.png")
    assert door.files(ledger.claim(["r"], 9, "taken")[0])["far"] == f"in/{key}.far.jpg"


def test_rule_that_gets_inputs_forgets_what_waits_for_it_alone(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    before = replace(rule(tmp_path), inputs=())
    door.drop("in/castle.near.jpg")
    Door(tmp_path, ledger, before).settle()
    assert door.names() == ["castle.near.jpg"]
    door.settle()
    assert door.names() == ["castle"] and door.names(State.SKIPPED) == ["castle.near.jpg"]


def test_blocked_ledger_loses_nothing(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    door.drop("in/castle.near.jpg")
    door.drop("in/castle.far.jpg")

    def refuse(arrivals: object) -> None:
        raise BlockedError("ledger.db: full; free space")

    with monkeypatch.context() as blocked, pytest.raises(BlockedError):
        blocked.setattr(ledger, "add", refuse)
        door.settle()
    door.rescan()  # as the intake's own thread does then
    assert door.names() == ["castle"]


def test_deletions_and_moves_are_hints(tmp_path: Path, ledger: Ledger) -> None:
    """With events alone: the scan that would find it too is five minutes away."""
    door = Door(tmp_path, ledger, rule(tmp_path))
    first, second = door.drop("in/castle.near.jpg"), door.drop("in/tower.near.jpg")
    door.intake.arm()
    try:
        door.settle()
        assert ledger.incomplete() == {"r": 2}

        def stepped(condition: Callable[[], bool]) -> None:
            def after_a_step() -> bool:
                door.intake.step()
                return condition()

            wait_until(after_a_step)

        first.unlink()
        stepped(lambda: ledger.incomplete() == {"r": 1})
        second.rename(tmp_path / "in/bridge.near.jpg")
        stepped(lambda: door.names() == ["bridge"])
    finally:
        door.intake._watcher.close()


def test_a_folder_is_listed_once_for_all_its_groups(tmp_path: Path, ledger: Ledger) -> None:
    door = Door(tmp_path, ledger, rule(tmp_path))
    for number in range(1000):
        for role in ("near", "far"):
            door.drop(f"in/{number}.{role}.jpg")
    began = time.process_time()
    door.settle()
    assert len(ledger.jobs()) == 1000 and time.process_time() - began < 2, "a list a group would take minutes"
