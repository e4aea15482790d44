"""The command line as a user meets it: answers, exit statuses, and every error in one plain line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing

import pytest

from daemon.intake.scan import fingerprint_of
from daemon.ledger import Arrival, Ledger
from tests.box import ENVIRONMENT, MOSAIC, Box, Pixels, encoded, read, slow_encoding, wait_until


def refused(box: Box, *words: str, status: int = 1, lines: int = 1) -> str:
    """Run a command that must fail: what it says, in exactly so many lines on stderr and none of them a traceback."""
    done = box.darkroom(*words, check=status)
    assert done.stderr.count("\n") == lines and "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.fixture
def worked(box: Box, small: Pixels) -> Box:
    """A box with a job done (1), one failed (2) and one skipped (3)."""
    box.rules("when: {min_width: 100}")
    contents: list[Pixels | bytes] = [small, b"broken", small[:, :50].copy()]
    for number, content in enumerate(contents, start=1):
        path = box.drop(f"in/{number}.png", content)
        with closing(Ledger(box.folder / "var/ledger.db")) as ledger:
            fingerprint = fingerprint_of(path.stat())
            ledger.add([Arrival("mosaic", str(box.folder / "in"), path.name, fingerprint, "found")])
    box.once(check=1)
    return box


# -- apply -----------------------------------------------------------------------------------------------------------


def test_apply_file_to_file(box: Box, small: Pixels) -> None:
    box.drop("a.png", small)
    done = box.darkroom("apply", MOSAIC, "a.png", "-o", "b.png")
    assert done.stdout == "a.png → b.png\n"
    assert read(box.folder / "b.png").shape == small.shape


def test_apply_many_to_a_folder(box: Box, small: Pixels) -> None:
    box.drop("a.png", small)
    box.drop("b.jpg", small)
    box.darkroom("apply", MOSAIC, "a.png", "b.jpg", "-o", "made/here")
    assert box.files("made/here") == ["a.png", "b.jpg"]


def test_apply_goes_on_after_one_that_fails(box: Box, small: Pixels) -> None:
    box.drop("bad.png", b"broken")
    box.drop("good.png", small)
    said = refused(box, "apply", MOSAIC, "bad.png", "gone.png", "good.png", "-o", "made", lines=2)
    assert "bad.png: " in said and "gone.png: cannot be read" in said
    assert box.files("made") == ["good.png"]


@pytest.mark.parametrize(
    "steps", ["mosiac", "mosaic: {blok: 3}", "mosaic: {block: -1}", "", "[", "42", "mosaic: {block: [}", "[]"]
)
def test_apply_with_bad_steps(box: Box, small: Pixels, steps: str) -> None:
    box.drop("a.png", small)
    assert "STEPS: " in refused(box, "apply", steps, "a.png", "-o", "b.png", status=2)
    assert not (box.folder / "b.png").exists()


def test_apply_never_writes_over_its_source(box: Box, small: Pixels) -> None:
    before = box.drop("a.png", small).read_bytes()
    (box.folder / "link.png").symlink_to("a.png")
    for output in ("a.png", "./a.png", ".", "link.png"):
        assert "own source" in refused(box, "apply", MOSAIC, "a.png", "-o", output)
    assert (box.folder / "a.png").read_bytes() == before


def test_apply_two_of_one_name(box: Box, small: Pixels) -> None:
    """Neither may vanish under the other without a word."""
    box.drop("x/a.png", small)
    box.drop("y/a.png", small[::-1].copy())
    assert "a.png" in refused(box, "apply", MOSAIC, "x/a.png", "y/a.png", "-o", "made", status=2)
    assert not (box.folder / "made").exists()


@pytest.mark.parametrize("there", [False, True])
def test_apply_many_to_one_file(box: Box, small: Pixels, there: bool) -> None:
    box.drop("a.png", small)
    box.drop("b.png", small)
    if there:
        box.drop("one.png", small)
    told = refused(box, "apply", MOSAIC, "a.png", "b.png", "-o", "one.png", status=2)
    assert "-o one.png: 2 pictures do not go into one file; name a folder" in told


def test_apply_where_nothing_can_be_written(box: Box, small: Pixels) -> None:
    box.drop("a.png", small)
    box.drop("file", b"")
    told = refused(box, "apply", MOSAIC, "a.png", "-o", "file/b.png")
    assert "file" in told and "goes on" not in told, "nothing waits until it can be"
    (box.folder / "var/daemon.lock").mkdir(parents=True)
    assert "goes on" not in refused(box, "run", "--once")


def test_apply_a_folder_is_no_picture(box: Box) -> None:
    (box.folder / "folder").mkdir()
    assert "Is a directory" in refused(box, "apply", MOSAIC, "folder", "-o", "b.png")


# -- operators, export, check ----------------------------------------------------------------------------------------


def test_operators(box: Box) -> None:
    everything = box.darkroom("operators").stdout
    assert everything.startswith("mosaic: ") or "\nmosaic: " in everything
    one = box.darkroom("operators", "mosaic").stdout
    assert "block" in one and "16" in one and len(one.splitlines()) > 3
    assert "did you mean mosaic?" in refused(box, "operators", "mosiac", status=2)


def test_operators_tells_of_lists(box: Box) -> None:
    lines = box.darkroom("operators", "pool_upsample_psnr").stdout.splitlines()
    parameters = [line.strip().partition("; ") for line in lines if line.startswith("    ")]
    assert [range_and_default for range_and_default, _, _ in parameters] == [
        "scales: a list of 1–1024 px, default [1, 2, 4, 8, 16, 32]",
        "size: 2–4096 px, default 256",
        "inputs: a list of true | gray | mosaic, default [true, gray, mosaic]",
        "color_only: true | false, default true",
    ]
    assert all(meaning for _, _, meaning in parameters)


def test_export(box: Box) -> None:
    done = box.darkroom("export", "-o", "there/deep")
    assert box.files("there/deep") == ["mosaic.onnx", "parity.json"] and "parity passed" in done.stdout
    (report,) = json.loads((box.folder / "there/deep/parity.json").read_text())
    assert report["rule"] == "mosaic" and report["passed"] is True


def test_export_where_nothing_can_be_written(box: Box) -> None:
    box.drop("file", b"")
    assert "file" in refused(box, "export", "-o", "file")
    assert "file" in refused(box, "export", "-o", "file/below")


def test_check(box: Box) -> None:
    assert "no faults" in box.darkroom("check").stdout
    box.write_config("version: 1\nrules:\n  - name: a\n    wach: in\n    steps: mosiac\n    output: out/{stem}.{ext}\n")
    done = box.darkroom("check", check=2)
    lines = done.stderr.splitlines()
    assert len(lines) >= 2 and all(line.startswith("config.yaml:") for line in lines), lines
    assert any("wach" in line for line in lines) and any("did you mean mosaic?" in line for line in lines)


@pytest.mark.parametrize("command", ["run", "check", "status", "jobs", "export", "why", "retry", "cancel"])
def test_configuration_that_is_not_there(box: Box, command: str) -> None:
    more = {"why": ["x"], "retry": ["1"], "cancel": ["1"]}.get(command, [])
    assert "missing.yaml" in refused(box, command, *more, "-c", "missing.yaml", status=2)


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        [],
        ["jobs", "--state", "bogus"],
        ["jobs", "--limit", "x"],
        ["cancel"],
        ["run", "--bogus"],
        ["jobs", "--limit", "-3"],
        ["-c", "config.yaml", "jobs"],
    ],
)
def test_words_that_are_none(box: Box, words: list[str]) -> None:
    said = refused(box, *words, status=2)
    assert said.startswith("darkroom")


def test_version(box: Box) -> None:
    assert re.fullmatch(r"darkroom \S+\n", box.darkroom("--version").stdout)


def test_schema_where_nothing_can_be_written(box: Box) -> None:
    assert "; name a file in a folder that is there" in refused(box, "schema", "-o", "gone/schema.json")


# -- status ----------------------------------------------------------------------------------------------------------


def test_status_without_a_daemon(box: Box) -> None:
    assert "no daemon runs here" in box.darkroom("status", check=3).stdout
    status = json.loads(box.darkroom("status", "--json", check=3).stdout)
    assert status["running"] is False and status["pid"] is None


def test_status_where_there_is_no_such_home(box: Box) -> None:
    (box.folder / "config.yaml").write_text("version: 1\nstate_dir: ~nobody-here/var\nrules: []\n")
    assert "state_dir: the home folder ~nobody-here is not known" in refused(box, "status", status=2, lines=2)


NO_HOME = """
import os, pwd, sys
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
os.environ.pop("HOME", None), os.environ.pop("XDG_CACHE_HOME", None)
from daemon.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_user_without_a_home(worked: Box) -> None:
    """A number without a name, as containers have it."""

    def say(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", NO_HOME, *words]
        return subprocess.run(command, cwd=worked.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    assert "`darkroom run` starts one" in say("status").stdout
    done = say("apply", "mosaic", "in/cat.png", "-o", "cat.png")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "set HOME or XDG_CACHE_HOME" in done.stderr
    shown = say("service", "show", "--user")
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1) and "leave --user out, or set HOME" in shown.stderr


def test_status_of_a_daemon(worked: Box) -> None:
    daemon = worked.start()
    status = json.loads(worked.darkroom("status", "--json").stdout)
    expected = {"running", "pid", "version", "started", "device", "pictures_per_second", "tasks", "rules"}
    assert set(status) >= expected and (status["running"], status["pid"]) == (True, daemon.process.pid)
    (rule,) = status["rules"]
    assert set(rule) >= {"name", "watch", "steps", "output", "counts", "compiling", "blocked"}
    assert rule["counts"] == {"waiting": 0, "running": 0, "done": 1, "failed": 1, "skipped": 1, "cancelled": 0}
    said = worked.darkroom("status").stdout
    assert f"process {daemon.process.pid}" in said and re.search(r"since [0-9-]{10} [0-9:]{8}$", said, re.MULTILINE)
    assert re.search(r"^mosaic +· +· +1 +1 +1 +·$", said, re.MULTILINE)


@pytest.mark.parametrize("unit", ["", "scans"])
def test_status_tells_of_a_watched_folder_that_is_gone(box: Box, unit: str) -> None:
    daemon = box.start(DARKROOM_UNIT=unit)
    what = "not there"
    if unit:  # its unit may not let the service make the folder
        what += "; if config.yaml names it since lately: `darkroom service install --name scans` again"
    (box.folder / "in").rename(box.folder / "away")

    def unreadable() -> dict[str, str]:
        found: dict[str, str] = json.loads(box.darkroom("status", "--json").stdout)["rules"][0]["unreadable"]
        return found

    assert wait_until(unreadable) == {f"{box.folder}/in": what}
    told = box.darkroom("status").stdout
    assert f"{box.folder}/in: {what}; nothing in it is taken until it can be read" in told
    (box.folder / "away").rename(box.folder / "in")
    wait_until(lambda: not unreadable())
    assert daemon.stop() == 0


def test_a_run_says_at_its_end_what_it_did(box: Box, small: Pixels) -> None:
    assert box.once().stdout.splitlines()[-1] == "finished: nothing was to be done"
    box.drop("in/1.png", small)
    box.drop("in/2.png", small[::-1].copy())
    box.drop("in/3.png", b"broken")
    assert box.once(check=1).stdout.splitlines()[-1] == "finished: 2 done, 1 failed"


def test_status_after_a_kill_says_that_nothing_runs(box: Box) -> None:
    daemon = box.start()
    daemon.stop(9)
    assert json.loads(box.darkroom("status", "--json", check=3).stdout)["running"] is False


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_jobs(worked: Box) -> None:
    assert [job["id"] for job in worked.jobs()] == [3, 2, 1]
    assert json.loads(worked.darkroom("jobs", "--json").stdout) == worked.jobs(), "as in a process of its own"
    assert [job["id"] for job in worked.jobs("--state", "failed")] == [2]
    assert [job["id"] for job in worked.jobs("--limit", "2")] == [3, 2]
    assert len(worked.jobs("--rule", "mosaic")) == 3 and worked.jobs("--state", "waiting") == []
    assert "no rule is called 'other'; known: mosaic" in refused(worked, "jobs", "--rule", "other")
    assert "did you mean mosaic? known: mosaic" in refused(worked, "jobs", "--rule", "mosiac")
    expected = {"id", "rule", "state", "reason", "source", "output", "attempts", "device", "created", "updated"}
    assert set(worked.jobs()[0]) >= expected
    lines = worked.darkroom("jobs").stdout.splitlines()
    assert len(lines) == 3 and "3.png" in lines[0] and "skipped" in lines[0]


def test_jobs_before_there_were_any(box: Box) -> None:
    assert box.darkroom("jobs").stdout == "no jobs\n" and box.jobs() == []


def test_jobs_into_a_pipe_that_ends(worked: Box) -> None:
    words = " ".join(worked.command("jobs"))
    done = subprocess.run(
        f"{words} | head -n 1",
        shell=True,
        cwd=worked.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    closed = subprocess.run(
        f"{words} --json | true",
        shell=True,
        cwd=worked.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert closed.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_answer_that_cannot_be_written(worked: Box) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            worked.command("jobs"),
            cwd=worked.folder,
            env=ENVIRONMENT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No space" in done.stderr, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_work_goes_on_when_its_lines_cannot_be_written(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    with open("/dev/full", "w") as full:
        subprocess.run(
            box.command("run", "--once"),
            cwd=box.folder,
            env=ENVIRONMENT,
            stdout=full,
            stderr=full,
            timeout=60,
            check=False,
        )
    assert box.files() == ["cat.png"] and box.states() == {"cat.png": "done"}


# -- why -------------------------------------------------------------------------------------------------------------


def test_why_of_jobs_that_ended(worked: Box) -> None:
    for name, state in (("1.png", "done"), ("2.png", "failed"), ("3.png", "skipped")):
        said = worked.darkroom("why", f"in/{name}").stdout
        assert f", {state}." in said and "waiting: found" in said and "rule mosaic: " in said
        assert ("darkroom retry" in said) == (state != "done")
        assert ("output: " in said) == (state == "done")


def test_why_of_what_darkroom_wrote(worked: Box) -> None:
    for name, source in (("1.png", "in/1.png"), ("2.png.error.txt", "in/2.png")):
        said = worked.darkroom("why", f"out/{name}").stdout
        assert "written by darkroom" in said and str(worked.folder / source) in said


def test_why_of_what_has_no_job(worked: Box, small: Pixels) -> None:
    worked.drop("in/.hidden.png", small)
    worked.drop("in/note.txt", b"x")
    worked.drop("in/new.png", small)
    worked.drop("elsewhere/a.png", small)
    expected = {
        "in/gone.png": "There is no such file",
        "note.txt": "Did you mean {box}/in/note.txt?",
        "in/.hidden.png": "never taken",
        "in/note.txt": "takes only *.jpg",
        "in/new.png": "would take it, but no daemon runs",
        "elsewhere/a.png": "lies in no watched folder",
        "in": "Rule mosaic watches this folder: `darkroom jobs --rule mosaic`",
    }
    for path, reason in expected.items():
        assert reason.format(box=worked.folder) in worked.darkroom("why", path, check=1).stdout


def test_why_of_one_that_waits(worked: Box) -> None:
    worked.darkroom("retry", "2")
    assert "taken when a daemon runs" in worked.darkroom("why", "in/2.png").stdout


def test_why_of_one_whose_daemon_is_gone(worked: Box) -> None:
    worked.darkroom("retry", "2")
    with closing(Ledger(worked.folder / "var/ledger.db")) as ledger:
        ledger.claim(["mosaic"], 1, "taken by darkroom")
    assert "taken up again when a daemon runs" in worked.darkroom("why", "in/2.png").stdout


# -- retry and cancel ------------------------------------------------------------------------------------------------


def test_retry_of_what_is_done_says_what_fits(worked: Box) -> None:
    assert "job 1 is done; `darkroom redo 1` does it anew" in refused(worked, "retry", "1")


@pytest.mark.parametrize(
    ("words", "lacks"), [((), "darkroom: COMMAND is missing"), (("why",), "darkroom why: PATH is missing")]
)
def test_a_word_that_is_missing(box: Box, words: tuple[str, ...], lacks: str) -> None:
    assert refused(box, *words, status=2).startswith(f"{lacks}; see ")


def test_retry(worked: Box, small: Pixels) -> None:
    (worked.folder / "in/2.png").write_bytes(encoded(small, ".png"))
    worked.darkroom("retry", "2", "3")
    assert {job["id"]: job["state"] for job in worked.jobs()} == {1: "done", 2: "waiting", 3: "waiting"}
    worked.once()
    assert worked.states() == {"1.png": "done", "2.png": "done", "3.png": "skipped"}


@pytest.mark.parametrize("words", [["--all-failed"], ["--rule", "mosaic"]])
def test_retry_all_that_failed(worked: Box, words: list[str]) -> None:
    worked.darkroom("retry", *words)
    assert [job["id"] for job in worked.jobs("--state", "waiting")] == [2]


def test_retry_what_cannot_be_retried(worked: Box) -> None:
    assert "job 1 " in (said := refused(worked, "retry", "1")) and "done" in said
    assert "job 1 " in refused(worked, "retry", "2", "1"), "all or none"
    assert "no job 99" in refused(worked, "retry", "99")
    assert "--all-failed" in refused(worked, "retry", status=2)
    assert worked.jobs("--state", "waiting") == []


def test_retry_of_an_unknown_rule(worked: Box) -> None:
    assert "no rule is called 'other'" in refused(worked, "retry", "--rule", "other")


def test_retry_before_there_were_any(box: Box) -> None:
    assert "no jobs yet" in refused(box, "retry", "1")


def test_cancel(worked: Box) -> None:
    worked.darkroom("retry", "2")
    worked.darkroom("cancel", "2")
    assert worked.jobs("--state", "cancelled")[0]["id"] == 2
    worked.once()
    assert worked.jobs("--state", "cancelled")[0]["id"] == 2
    for number in ("1", "2", "3"):
        assert f"job {number} " in refused(worked, "cancel", number)
    worked.darkroom("retry", "2")


def test_words_about_a_running_job_leave_the_daemon_alone(box: Box, small: Pixels) -> None:
    """A picture on its way can be neither cancelled nor begun a second time, and the daemon works on."""
    for number in range(20):
        box.drop(f"in/{number}.png", small)
    daemon = box.start("--once", ready=False, before=slow_encoding(0.1))
    wait_until(lambda: (box.folder / "var/ledger.db").exists() and box.jobs("--state", "running"))
    running = str(box.jobs("--state", "running")[0]["id"])
    for command in ("cancel", "retry"):
        assert f"job {running} " in refused(box, command, running)
    assert daemon.process.wait(60) == 0
    assert {job["state"] for job in box.jobs()} == {"done"} and len(box.files()) == 20


# -- trouble ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "jobs"])
def test_ledger_that_is_none(box: Box, command: str) -> None:
    box.drop("var/ledger.db", b"this is no ledger\n" * 300)
    assert "ledger.db" in refused(box, command)


def test_status_of_a_ledger_that_is_none(box: Box) -> None:
    box.drop("var/ledger.db", b"this is no ledger\n" * 300)
    told = box.darkroom("status", check=3).stdout
    assert "no daemon runs here" in told and "ledger.db: damaged" in told


@pytest.mark.parametrize("where", ["var", "var/daemon.lock"])
def test_state_folder_that_cannot_be_used(box: Box, where: str) -> None:
    box.rules(head="settle: 100ms\nstate_dir: state")
    if where == "var":
        box.drop("state", b"a file")
    else:
        (box.folder / "state/daemon.lock").mkdir(parents=True)
    assert "state" in refused(box, "run", "--once")


def test_debug_shows_the_traceback(box: Box) -> None:
    assert "Traceback" in box.darkroom("--debug", "retry", "1", check=1).stderr
