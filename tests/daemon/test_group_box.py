"""Groups from the user's side: `run --once`, `status`, `why`, `jobs`, and what becomes of the files afterwards."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.asking.why import why
from daemon.errors import OutputRefused
from daemon.groups.grouping import look_again
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Ledger, Move
from daemon.model import Config, Input, Job, OnConflict, Rule, SourceAction, SourcePolicy, State
from daemon.publishing.naming import fields_of
from daemon.publishing.placement import Encoded, Part, Placement
from daemon.publishing.sources import Sources
from daemon.publishing.template import Template
from daemon.rulebook import Rulebook
from kernels.chain import parse_chain
from tests import pairs
from tests.box import Box, Pixels, wait_until
from tests.daemon.test_grouping import Door, ledger, rule, task  # noqa: F401 - fixtures


@pytest.fixture
def paired(box: Box, small: Pixels) -> Box:
    """A box with a group that waits for its other picture, and one that can be no job."""
    pairs.furnish(box)
    box.drop("in/castle.near.jpg", small)
    return box


def test_once_does_not_wait_for_partners(paired: Box) -> None:
    done = paired.once()
    assert "1 group waits for its partner files: castle (far)" in done.stdout.splitlines()
    assert "left waiting" not in done.stdout
    assert "      each job needs {key}.near.* (near), {key}.far.* (far)" in done.stdout.splitlines()
    (job,) = paired.jobs()
    assert (job["state"], job["reason"]) == ("waiting", "waits for far: a file like castle.far.*")
    assert job["source"] == str(paired.folder / "in/castle")
    assert job["inputs"] == {"near": str(paired.folder / "in/castle.near.jpg")}
    line = paired.darkroom("jobs").stdout
    assert "pairs: castle (near castle.near.jpg): waits for far: a file like castle.far.*" in line


def test_once_names_a_few_of_many(paired: Box) -> None:
    for number in range(7):
        paired.drop(f"in/{number}.far.png", b"x")
    said = paired.once().stdout
    assert "8 groups wait for their partner files: 0 (near), 1 (near), 2 (near), 3 (near), 4 (near) and 3 more" in said


def test_once_fails_with_doubles(paired: Box, small: Pixels) -> None:
    paired.drop("in/castle.near.png", small)
    done = paired.once(check=1)
    assert "pairs: castle: failed: two files for near, castle.near.jpg and castle.near.png" in done.stdout
    assert paired.files() == ["castle.error.txt"]
    note = (paired.folder / "out/castle.error.txt").read_text()
    assert "two files for near" in note and "a new job is then made by itself" in note
    told = paired.darkroom("why", "in/castle.near.png").stdout
    assert "two files for near" in told and "see to its files" in told
    refused = paired.darkroom("retry", "1", check=1)
    assert "two files for near" in refused.stderr and refused.stderr.count("\n") == 1
    assert paired.darkroom("retry", "--all-failed").stdout.startswith("0 jobs")
    (paired.folder / "in/castle.near.png").unlink()
    assert "castle (far)" in paired.once().stdout


def test_status_and_why_of_one_that_waits(paired: Box) -> None:
    paired.once()
    (told,) = json.loads(paired.darkroom("status", "--json", check=3).stdout)["rules"]
    assert (told["incomplete"], told["counts"]["waiting"]) == (1, 1)
    assert "1 group waits for its partner files: castle (far)" in paired.darkroom("status", check=3).stdout
    for path in ("in/castle.near.jpg", "in/castle"):
        said = paired.darkroom("why", path).stdout
        assert said.startswith(f"group castle in {paired.folder}/in: job 1, waiting.")
        assert f"near: {paired.folder}/in/castle.near.jpg" in said and "lacks far: a file like castle.far.*" in said


def test_why_of_what_has_no_job(paired: Box) -> None:
    paired.drop("in/lonely.jpg", b"x")
    said = paired.darkroom("why", "in/lonely.jpg", check=1).stdout
    assert "makes groups of {key}.near.* (near), {key}.far.* (far); this is none of them" in said
    said = paired.darkroom("why", "in/castle.near.jpg", check=1).stdout
    assert "would take it, but no daemon runs" in said


def test_why_of_a_fixed_file(paired: Box) -> None:
    config = paired.folder / "config.yaml"
    config.write_text(config.read_text().replace('"{key}.far.*"', "style.png"))
    paired.drop("style.png", b"x")
    assert "It is the far of every group of rule pairs" in paired.darkroom("why", "style.png", check=1).stdout
    (paired.folder / "style.png").unlink()
    assert "castle (far)" in paired.once().stdout
    assert f"waits for far: the file {paired.folder}/style.png" in paired.jobs()[0]["reason"]


def test_why_of_a_whole_group(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    """Every file of it tells of it, also the fixed one; a task runs elsewhere, so its end is played here."""
    state = tmp_path / "var"
    state.mkdir()
    fixed = Input("far", fixed=tmp_path / "style.png")
    made = rule(tmp_path, pairs.NEAR, fixed)
    with closing(Ledger(state / "ledger.db")) as opened:
        door = Door(tmp_path, opened, made)
        door.drop("style.png")
        with_files(door, "castle.near.jpg")
        (job,) = opened.claim(["r"], 1, "taken")
        opened.advance([Move(job.id, State.DONE, "published")])
    config = Config(tmp_path / "config.yaml", state, (made,))
    for name in ("in/castle.near.jpg", "style.png"):
        known, lines = why(config, str(tmp_path / name), lambda rule: {})
        assert known and lines[0] == f"group castle in {tmp_path}/in: job {job.id}, done.", lines
        assert any(line.endswith("style.png, 1 bytes, in every group") for line in lines)
    (tmp_path / "in/castle.near.jpg").write_bytes(b"other")
    told = "\n".join(why(config, str(tmp_path / "style.png"), lambda rule: {})[1])
    assert "castle.near.jpg has changed since" in told and "style.png has changed" not in told


def test_look_again_is_at_every_file(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    """A file that was gone or changed when its group was read: what is there now is found without a scan."""
    door = Door(tmp_path, ledger, rule(tmp_path))
    with_files(door, "castle.near.jpg", "castle.far.png")
    (job,) = ledger.claim(["r"], 1, "taken")
    (tmp_path / "in/castle.near.jpg").unlink()
    ledger.advance([Move(job.id, State.SKIPPED, "gone before it was read", gone=True)])
    look_again(ledger, door.intake.hints, job)
    door.settle()
    assert door.newest.reason == "waits for near: a file like castle.near.*"


def test_cancel_of_one_that_waits(paired: Box) -> None:
    paired.once()
    paired.darkroom("cancel", "1")
    assert "castle" not in paired.once().stdout and paired.states() == {"castle": "cancelled"}
    assert "a new job starts by itself" in paired.darkroom("retry", "1", check=1).stderr


def test_a_daemon_sees_partners_come_and_go(paired: Box) -> None:
    daemon = paired.start()
    wait_until(lambda: paired.states() == {"castle": "waiting"})
    (paired.folder / "in/castle.near.jpg").unlink()
    wait_until(lambda: paired.states() == {"castle": "skipped"})
    assert daemon.stop() == 0


# -- what becomes of the files --------------------------------------------------------------------------------------


def done(door: Door, number: int = 1) -> Job:
    """The newest group's job, taken and done, with its sources due."""
    (job,) = door.ledger.claim(["r"], number, "taken")
    door.ledger.advance([Move(job.id, State.DONE, "done", source_due=True)])
    return job


def with_files(door: Door, *names: str) -> None:
    for name in names:
        door.drop(f"in/{name}")
    door.rescan()


def book(*rules: Rule) -> Rulebook:
    return Rulebook(Config(Path("/config.yaml"), Path("/var"), rules))


def dispose(ledger: Ledger, *rules: Rule) -> list[str]:  # noqa: F811
    complaints = list[str]()
    Sources(book(*rules), ledger, complaints.append).dispose()
    return complaints


DELETE = SourcePolicy(SourceAction.DELETE)


def test_every_member_is_deleted_and_no_fixed_file(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    fixed = Input("far", fixed=tmp_path / "in/style.png")
    other = replace(rule(tmp_path, pairs.NEAR, fixed), source=DELETE)
    door = Door(tmp_path, ledger, other)
    with_files(door, "castle.near.jpg", "style.png")
    done(door)
    assert dispose(ledger, other) == []
    assert os.listdir(tmp_path / "in") == ["style.png"] and ledger.source_due() == []
    plain = replace(other, name="p", inputs=(), chain=parse_chain("grayscale"))
    with_files(Door(tmp_path, ledger, plain, other))
    (job,) = ledger.claim(["p"], 1, "taken")
    ledger.advance([Move(job.id, State.DONE, "done", source_due=True)])
    assert dispose(ledger, plain, other) == [] and ledger.source_due() == []
    assert (tmp_path / "in/style.png").exists(), "what one rule deletes is fixed in another"


def test_sources_that_take_long_to_move_do_not_hold_up_the_next(
    tmp_path: Path,
    ledger: Ledger,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Copied to another disk, those of one group of results may take minutes: only looking through them is rationed."""
    real = Path.unlink

    def slow(path: Path, missing_ok: bool = False) -> None:
        time.sleep(0.2)
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", slow)
    plain = replace(rule(tmp_path), source=DELETE, inputs=(), chain=parse_chain("grayscale"))
    door, sources = Door(tmp_path, ledger, plain), Sources(book(plain), ledger, pytest.fail)

    def settled() -> bool:
        sources.dispose_soon()
        return not ledger.source_due()

    for name in ("a.png", "b.png"):
        with_files(door, name)
        done(door)
        wait_until(settled, 2)
    assert os.listdir(tmp_path / "in") == []


def test_members_are_moved_under_their_own_names(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    to = Template.parse("done/{dir}/{key}/{name}", tmp_path)
    moving = replace(rule(tmp_path), source=SourcePolicy(SourceAction.MOVE, to))
    door = Door(tmp_path, ledger, moving)
    with_files(door, "a/castle.near.jpg", "a/castle.far.png")
    done(door)
    assert dispose(ledger, moving) == []
    assert sorted(os.listdir(tmp_path / "done/a/castle")) == ["castle.far.png", "castle.near.jpg"]
    door.rescan()
    assert len(ledger.jobs()) == 1, "what was moved away leaves no half group"


def test_a_changed_member_stays(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    deleting = replace(rule(tmp_path), source=DELETE)
    door = Door(tmp_path, ledger, deleting)
    with_files(door, "castle.near.jpg", "castle.far.png")
    done(door)
    door.drop("in/castle.far.png", age=30, content=b"new")
    assert dispose(ledger, deleting) == [] and os.listdir(tmp_path / "in") == ["castle.far.png"]
    door.rescan()
    assert door.newest.reason == "waits for near: a file like castle.near.*"


def test_members_wait_for_other_rules(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    deleting = replace(rule(tmp_path), source=DELETE)
    plain = replace(rule(tmp_path), name="p", inputs=(), chain=parse_chain("grayscale"), match=("*.png",))
    door = Door(tmp_path, ledger, deleting, plain)
    with_files(door, "castle.near.jpg", "castle.far.png")
    done(door)
    dispose(ledger, deleting, plain)
    assert len(os.listdir(tmp_path / "in")) == 2
    (job,) = ledger.claim(["p"], 1, "taken")
    ledger.advance([Move(job.id, State.DONE, "done")])
    dispose(ledger, deleting, plain)
    assert os.listdir(tmp_path / "in") == []


def test_a_single_source_waits_for_the_groups_that_take_it(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    pairing = rule(tmp_path)
    plain = replace(pairing, name="p", inputs=(), chain=parse_chain("grayscale"), source=DELETE)
    door = Door(tmp_path, ledger, pairing, plain)
    with_files(door, "castle.near.jpg", "lonely.jpg")
    for job in ledger.claim(["p"], 9, "taken"):
        ledger.advance([Move(job.id, State.DONE, "done", source_due=True)])
    dispose(ledger, pairing, plain)
    assert os.listdir(tmp_path / "in") == ["castle.near.jpg"], "the one that fits no role is nobody's"
    with_files(door, "castle.far.jpg")
    (job,) = ledger.claim(["r"], 9, "taken")
    ledger.advance([Move(job.id, State.DONE, "done")])
    dispose(ledger, pairing, plain)
    assert os.listdir(tmp_path / "in") == ["castle.far.jpg"]


def test_a_look_that_takes_long_is_rare(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Thousands of sources may wait for a slower rule, and results are published ten times a second."""
    real, looks = ledger.source_due, list[float]()

    def slow() -> list[Job]:
        looks.append(time.monotonic())
        time.sleep(0.05)
        return real()

    monkeypatch.setattr(ledger, "source_due", slow)
    sources = Sources(book(replace(rule(tmp_path), source=DELETE)), ledger, lambda line: None)
    for _ in range(20):
        sources.dispose_soon()
    assert len(looks) == 1
    sources.dispose()
    assert len(looks) == 2, "at the end of the work all are seen to"


def test_a_result_never_replaces_a_member(tmp_path: Path, ledger: Ledger) -> None:  # noqa: F811
    for conflict in OnConflict:
        over = replace(rule(tmp_path), output=Template.parse("in/{key}.far.png", tmp_path), on_conflict=conflict)
        door = Door(tmp_path, ledger, over)
        with_files(door, f"{conflict}.near.jpg", f"{conflict}.far.png")
        (job,) = ledger.claim(["r"], 9, "taken")
        target = over.output.render(fields_of(job))
        part = Part(f"{target}.tmp", fingerprint_of(Path(target).stat()))
        item = Encoded(job, over, target, (part,), Move(job.id, State.DONE, "done"))
        with pytest.raises(OutputRefused, match="own source"):
            Placement(book(over), ledger).intents(item, None, set())
        ledger.advance([Move(job.id, State.DONE, "done")])
