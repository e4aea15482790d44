"""`darkroom redo`: finished pictures once more, by the rule as it is now."""

from __future__ import annotations

import os

import pytest

from tests.box import COMPARED, MOSAIC, Box, Pixels, slow_encoding, wait_until
from tests.reload.test_reload import configure, rule


@pytest.fixture
def done(box: Box, small: Pixels) -> Box:
    """Three pictures done, one skipped by its size, one broken."""
    configure(box, rule("mosaic", "in", MOSAIC, "when: {min_width: 100}"))
    for name in ("1.png", "2.png", "3.png"):
        box.drop(f"in/{name}", small)
    box.drop("in/4.png", small[:, :50].copy())
    box.drop("in/5.png", b"broken")
    box.once(check=1)
    return box


def test_every_picture_of_a_rule(done: Box, small: Pixels) -> None:
    configure(done, rule("mosaic", "in", COMPARED))
    (done.folder / "in/2.png").unlink()
    done.drop("in/3.png", small[::-1].copy())
    said = done.darkroom("redo", "--rule", "mosaic").stdout
    assert said.startswith("3 jobs waiting again; `darkroom run` takes them up")
    assert "not 1 job: the source is gone" in said and "not 1 job: the source has changed" in said
    done.once(check=1)
    assert done.files() == [
        *("1.png", "1.png.json", "2.png", "3.png", "3.png.json", "4.png", "4.png.json", "5.png.error.txt")
    ]
    assert [job["state"] for job in done.jobs("--rule", "mosaic")].count("done") == 6


def number(box: Box, name: str) -> str:
    """The newest job of a picture."""
    return str(next(job["id"] for job in box.jobs() if job["source"].endswith(f"/{name}")))


def test_while_a_daemon_runs_by_an_edit_saved_in_this_moment(done: Box) -> None:
    daemon = done.start()
    configure(done, rule("mosaic", "in", COMPARED))
    done.darkroom("redo", number(done, "1.png"))
    wait_until((done.folder / "out/1.png.json").exists)
    assert daemon.said("rule mosaic changed: steps, when")
    (done.folder / "config.yaml").write_text("no: rules")
    assert "config.yaml:1:1" in done.darkroom("redo", "1", check=2).stderr


def test_what_cannot_be_done_again(done: Box, small: Pixels) -> None:
    def refused(*words: str) -> str:
        said = done.darkroom("redo", *words, check=1).stderr
        assert said.count("\n") == 1
        return said

    first, second, third = (number(done, f"{each}.png") for each in "123")
    done.drop("in/1.png", small[::-1].copy())
    os.unlink(done.folder / "in/2.png")
    assert "(1.png) cannot be done again: the source has changed" in refused(first)
    assert "(2.png) cannot be done again: the source is gone" in refused(second)
    assert "no job 99" in refused("99")
    assert "no rule is called 'other'" in refused("--rule", "other")
    done.darkroom("redo", check=2)
    done.once()
    assert f"job {first} is of older content; the newest of its file is job 6" in refused(first)
    configure(done, rule("other", "elsewhere"))
    assert "(3.png) cannot be done again: config.yaml has no rule mosaic any more" in refused(third)


def test_retry_of_a_job_that_its_rule_takes_no_more(done: Box) -> None:
    configure(done, rule("other", "elsewhere"))
    said = done.darkroom("retry", number(done, "5.png"), check=1).stderr
    assert "(5.png) cannot run again: config.yaml has no rule mosaic any more" in said
    assert done.darkroom("retry", "--all-failed").stdout == "0 jobs waiting again\n"


HANGS = slow_encoding(600)


@pytest.mark.parametrize("interruption", ["a kill", "a touch"])
def test_it_is_done_although_something_came_between(done: Box, interruption: str) -> None:
    """Handed back by a restart, or found anew with another time: the output still stands, and the wish does too."""
    done.darkroom("redo", number(done, "2.png"))
    before = (done.folder / "out/2.png").stat().st_ino
    if interruption == "a kill":
        daemon = done.start(before=HANGS)
        wait_until(lambda: done.states()["2.png"] == "running")
        daemon.process.kill()
        daemon.process.wait()
    else:
        os.utime(done.folder / "in/2.png", (1e9, 1e9))
    done.once(check=0)
    assert done.states()["2.png"] == "done" and (done.folder / "out/2.png").stat().st_ino != before
    os.utime(done.folder / "in/2.png", (2e9, 1e9 + 1))
    done.once(check=0)
    assert done.states()["2.png"] == "skipped", "the wish was for once"


def test_a_dry_run_knows_a_rule_that_was_renamed(done: Box) -> None:
    """As the next start does; the ledger is left as it is."""
    configure(done, rule("renamed", "in", MOSAIC, "when: {min_width: 100}"))
    before = (done.folder / "var/ledger.db").read_bytes()
    assert done.darkroom("run", "--dry-run").stdout.splitlines()[-1].startswith("renamed: 3 already done, 2 failed,")
    assert (done.folder / "var/ledger.db").read_bytes() == before
