"""Rules that measure: numbers beside the output, in the ledger, and in a report that counts every picture once."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from kernels.chain import parse_chain
from kernels.measuring import side_of
from tests.box import COMPARED, ENVIRONMENT, MOSAIC, PSNR, STUDY, Box, Pixels, encoded, wait_until

REPORT = f"""version: 1
settle: 100ms
rules:
  - name: study
    watch: in
    steps: {STUDY}
    report: report
"""
ROWS = 9  # three inputs at three scales
PROMPTLY = "import daemon.report.reporter as place; place.PAUSE, place.SHARE = 0.1, 1.0"
"""For a daemon whose reports are up to date at once; by default they take a twentieth of the time, seconds apart."""


def crops(photograph: Pixels, count: int, side: int = 96) -> list[Pixels]:
    """Different parts of a photograph, in colour."""
    places = [divmod(7 * index, 400) for index in range(count)]
    return [np.ascontiguousarray(photograph[60 + 20 * y :, x:][:side, :side]) for y, x in places]


def gray(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def rows(box: Box) -> list[dict[str, str]]:
    with (box.folder / "report/report.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((box.folder / "report/report.json").read_text(encoding="utf-8"))
    return found


def reported(box: Box, pictures: int) -> bool:
    return (box.folder / "report/report.csv").exists() and len(rows(box)) == pictures * ROWS


@pytest.fixture
def study(box: Box) -> Box:
    """A box whose one rule only measures."""
    box.write_config(REPORT)
    return box


# -- psnr beside a picture ---------------------------------------------------------------------------------------


def test_psnr_is_that_of_the_files(box: Box, photograph: Pixels) -> None:
    box.rules(steps=COMPARED)
    source = box.drop("in/sub/cat.png", photograph)
    box.once()
    assert box.files() == ["sub/cat.png", "sub/cat.png.json"]
    expected = peak_signal_noise_ratio(photograph, box.picture("out/sub/cat.png"))
    told = json.loads((box.folder / "out/sub/cat.png.json").read_text())
    assert told["psnr"] == pytest.approx(expected, abs=1e-3)
    assert told["picture"] == "sub/cat.png" and told["rule"] == "mosaic"
    assert told["measurements"] == [{"input": "mosaic", "scale": None, "mse": told["mse"], "psnr": told["psnr"]}]
    (job,) = box.jobs()
    assert job["psnr"] == told["psnr"] and job["measurements"] == told["measurements"]
    assert f"PSNR {told['psnr']:.2f} dB" in box.darkroom("why", str(source)).stdout


def test_identical_pictures_are_inf(box: Box, small: Pixels) -> None:
    box.rules(steps=PSNR)
    box.drop("in/cat.png", small)
    box.once()
    assert json.loads((box.folder / "out/cat.png.json").read_text())["psnr"] == "inf"
    assert np.array_equal(box.picture("out/cat.png"), small)
    assert box.jobs()[0]["psnr"] == "inf"


def test_a_rule_that_measures_and_publishes_may_report_too(box: Box, small: Pixels) -> None:
    box.rules("report: report", steps=COMPARED)
    box.drop("in/cat.png", small)
    box.once()
    (row,) = rows(box)
    assert (row["picture"], row["input"], row["scale"]) == ("cat.png", "mosaic", "")
    assert float(row["psnr"]) == pytest.approx(box.jobs()[0]["psnr"], abs=1e-3)


def test_measurements_follow_the_name_that_a_conflict_gives(box: Box, small: Pixels) -> None:
    box.rules("on_conflict: rename", steps=COMPARED)
    (box.folder / "out").mkdir()
    (box.folder / "out/cat.png").write_bytes(b"somebody else's")
    (box.folder / "out/cat-1.png.json").write_bytes(b"this too")
    box.drop("in/cat.png", small)
    box.once()
    assert box.files() == ["cat-1.png.json", "cat-2.png", "cat-2.png.json", "cat.png"]
    assert (box.folder / "out/cat-1.png.json").read_bytes() == b"this too"


def test_measurements_are_replaced_with_their_picture(box: Box, photograph: Pixels) -> None:
    box.rules(steps=COMPARED)
    first, second = crops(photograph, 2)
    box.drop("in/cat.png", first)
    box.once()
    before = json.loads((box.folder / "out/cat.png.json").read_text())
    box.drop("in/cat.png", second, age=30)
    box.once()
    after = json.loads((box.folder / "out/cat.png.json").read_text())
    assert after["psnr"] == pytest.approx(peak_signal_noise_ratio(second, box.picture("out/cat.png")), abs=1e-3)
    assert after["psnr"] != before["psnr"] and box.files() == ["cat.png", "cat.png.json"]


def test_measurements_are_never_taken_as_input(box: Box, small: Pixels) -> None:
    box.rules('match: ["*"]\noutput: in/done/{name}', steps=COMPARED)
    box.drop("in/cat.png", small)
    box.once()
    box.once()
    assert box.files("in") == ["cat.png", "done/cat.png", "done/cat.png.json"]
    assert len(box.jobs()) == 1


def test_a_foreign_file_in_a_watched_folder_is_not_overwritten(box: Box, small: Pixels) -> None:
    box.rules("output: in/done/{name}\nrecursive: false", steps=COMPARED)
    (box.folder / "in/done").mkdir(parents=True)
    (box.folder / "in/done/cat.png.json").write_text("mine")
    box.drop("in/cat.png", small)
    box.once(check=1)
    assert (box.folder / "in/done/cat.png.json").read_text() == "mine"
    assert "cat.png.json" in box.jobs()[0]["reason"]


@pytest.mark.parametrize("policy", ["overwrite", "rename", "skip"])
def test_a_file_of_somebody_else_beside_the_output(box: Box, small: Pixels, policy: str) -> None:
    """Output and measurements are one name: with `rename` and `skip` neither is taken from anybody."""
    box.rules(f"on_conflict: {policy}", steps=COMPARED)
    (box.folder / "out").mkdir()
    (box.folder / "out/cat.png.json").write_text("mine")
    box.drop("in/cat.png", small)
    box.once()
    kept = (box.folder / "out/cat.png.json").read_text() == "mine"
    expected = {
        "overwrite": (False, ["cat.png", "cat.png.json"]),
        "rename": (True, ["cat-1.png", "cat-1.png.json", "cat.png.json"]),
        "skip": (True, ["cat.png.json"]),
    }
    assert (kept, box.files()) == expected[policy]


@pytest.mark.parametrize("name", ["cat.png", "n" * 250 + ".png"])
def test_measurements_that_cannot_lie_there(box: Box, small: Pixels, name: str) -> None:
    """Nothing is published then, not even the picture; it comes out once the reason is gone."""
    box.rules("on_conflict: rename", steps=COMPARED)
    if len(name) < 200:
        (box.folder / "out" / f"{name}.json").mkdir(parents=True)
    box.drop(f"in/{name}", small)
    box.once(check=1 if len(name) > 200 else None)
    (job,) = box.jobs()
    if len(name) > 200:
        assert job["state"] == "failed" and f"{name}.json" in job["reason"]
        assert [file for file in box.files() if not file.endswith(".error.txt")] == []
    else:
        assert box.files() == ["cat-1.png", "cat-1.png.json"]


def test_measurements_of_an_earlier_chain_do_not_stay_beside_a_new_output(box: Box, photograph: Pixels) -> None:
    first, second = crops(photograph, 2)
    box.rules(steps=COMPARED)
    box.drop("in/cat.png", first)
    box.once()
    box.rules(steps=MOSAIC)
    box.drop("in/cat.png", second, age=30)
    box.once()
    assert box.files() == ["cat.png"]


def test_a_job_finished_after_a_kill_has_its_numbers_and_its_device(box: Box, small: Pixels) -> None:
    box.rules(steps=COMPARED)
    box.drop("in/cat.png", small)
    script = (
        "import os, sys; import daemon.publishing.publish as place; real = place.Ledger.intend\n"
        "def crash(self, *given): real(self, *given); os._exit(9)\n"
        "place.Ledger.intend = crash\n"
        "from daemon.cli import main; sys.exit(main(['run', '--once']))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=box.folder, env=ENVIRONMENT, check=False, timeout=60)
    assert not [name for name in box.files() if not name.startswith(".darkroom-")]
    box.once()
    (job,) = box.jobs()
    assert (job["state"], job["device"]) == ("done", "cpu") and job["psnr"] > 0
    box.drop("in/cat.png", small, age=20)
    box.once()
    assert "same content" in box.jobs()[0]["reason"]


def test_numbers_of_steps_that_are_no_more_are_still_told(box: Box, small: Pixels) -> None:
    box.rules(steps=COMPARED)
    source = box.drop("in/cat.png", small)
    box.once()
    with closing(sqlite3.connect(box.folder / "var/ledger.db")) as ledger, ledger:
        ledger.execute("""UPDATE measurements SET steps = '[{"gone":{}}]'""")
    (number,) = box.jobs()[0]["measurements"]
    assert 0 < number < 1
    assert "which this version does not have" in box.darkroom("why", str(source)).stdout


# -- a study -----------------------------------------------------------------------------------------------------


def test_a_study_of_colour_gray_and_broken_pictures(study: Box, photograph: Pixels) -> None:
    for index, crop in enumerate(crops(photograph, 12)):
        study.drop(f"in/a/{index:02}.png", crop)
    for index, crop in enumerate(crops(photograph, 3)):
        study.drop(f"in/gray{index}.png", gray(crop))
    study.drop("in/broken.jpg", encoded(photograph, ".jpg")[:2000])
    study.once(check=1)
    assert study.files("report") == ["broken.jpg.error.txt", "report.csv", "report.html", "report.json"]
    states = study.states()
    assert [states[f"gray{index}.png"] for index in range(3)] == ["skipped"] * 3 and states["broken.jpg"] == "failed"
    assert study.jobs("--state", "skipped")[0]["reason"] == "gray: channel correlation 1.000 ≥ 0.995"
    told = rows(study)
    assert len(told) == 12 * ROWS and {row["picture"] for row in told} == {f"a/{index:02}.png" for index in range(12)}
    assert [row["psnr"] for row in told if (row["input"], row["scale"]) == ("true", "1")] == ["inf"] * 12
    by_job = {Path(job["source"]).name: job for job in study.jobs("--state", "done")}
    for row in told:
        (found,) = (
            each
            for each in by_job[Path(row["picture"]).name]["measurements"]
            if (each["input"], str(each["scale"])) == (row["input"], row["scale"])
        )
        assert float(row["mse"]) == pytest.approx(found["mse"], rel=1e-6)
    summary = report(study)
    assert summary["complete"] is True
    counts = summary["counts"]
    assert (counts["done"], counts["skipped"], counts["failed"]) == (12, 3, 1)


def test_a_restart_changes_no_number_and_counts_none_twice(study: Box, photograph: Pixels) -> None:
    for index, crop in enumerate(crops(photograph, 5)):
        study.drop(f"in/{index}.png", crop)
    study.once()
    before = rows(study)
    shutil.rmtree(study.folder / "report")
    study.once()
    assert rows(study) == before and len(study.jobs()) == 5


def test_killed_in_the_middle_every_picture_counts_once(study: Box, photograph: Pixels) -> None:
    for index, crop in enumerate(crops(photograph, 200)):
        study.drop(f"in/{index:03}.jpg", crop)
    daemon = study.start()
    wait_until(lambda: any(job["state"] == "done" for job in study.jobs()), what="the first number")
    daemon.stop(signal.SIGKILL)
    study.once()
    states = list(study.states().values())
    assert len(states) == 200 and set(states) <= {"done", "skipped"}  # some parts of the photograph are gray
    counted = [(row["picture"], row["input"], row["scale"]) for row in rows(study)]
    assert len(counted) == len(set(counted)) == states.count("done") * ROWS > 150 * ROWS


def test_new_content_replaces_the_old_numbers(study: Box, photograph: Pixels) -> None:
    first, second = crops(photograph, 2)
    study.drop("in/cat.png", first)
    study.once()
    before = rows(study)
    study.drop("in/cat.png", second, age=30)
    study.once()
    after = rows(study)
    assert len(after) == ROWS and [row["mse"] for row in after] != [row["mse"] for row in before]


def test_pictures_measured_with_other_steps_are_left_out_and_counted(box: Box, photograph: Pixels) -> None:
    """Steps that give as many numbers."""
    first, second = crops(photograph, 2)
    box.rules("report: report", steps=PSNR)
    box.drop("in/old.png", first)
    box.once()
    assert {row["picture"] for row in rows(box)} == {"old.png"}
    box.rules("report: report", steps=COMPARED)
    box.drop("in/new.png", second)
    box.once()
    assert {row["picture"] for row in rows(box)} == {"new.png"}
    assert report(box)["left_out"] == 1


def test_a_picture_counts_by_its_newest_version(study: Box, photograph: Pixels) -> None:
    first, second, third = crops(photograph, 3)
    study.drop("in/gray.png", first)
    study.drop("in/broken.png", second)
    study.drop("in/mended.png", b"no picture")
    study.drop("in/stays.png", third)
    study.once(check=1)
    assert {row["picture"] for row in rows(study)} == {"gray.png", "broken.png", "stays.png"}
    study.drop("in/gray.png", gray(first), age=30)
    study.drop("in/broken.png", b"no picture", age=30)
    study.drop("in/mended.png", second, age=30)
    study.once(check=1)
    told = report(study)
    assert {row["picture"] for row in rows(study)} == {"mended.png", "stays.png"}
    assert [each["picture"] for each in told["skipped"]] == ["gray.png"]
    assert [each["picture"] for each in told["failed"]] == ["broken.png"]
    assert (told["counts"]["done"], told["counts"]["skipped"], told["counts"]["failed"]) == (2, 1, 1)


def test_a_picture_touched_still_counts(box: Box, small: Pixels) -> None:
    box.rules("report: report", steps=COMPARED)
    source = box.drop("in/cat.png", small)
    box.once()
    os.utime(source, (time.time() - 30, time.time() - 30))
    box.once()
    assert box.jobs()[0]["state"] == "skipped"
    told = report(box)
    assert (told["pictures"], told["skipped"], told["counts"]["skipped"]) == (1, [], 0) and len(rows(box)) == 1


def test_a_report_in_a_watched_folder_is_never_taken(study: Box, photograph: Pixels) -> None:
    study.write_config(REPORT.replace("report: report", 'match: ["*"]\n    report: in/report'))
    study.drop("in/cat.png", crops(photograph, 1)[0])
    study.once()
    study.once()
    assert study.files("in") == ["cat.png", "report/report.csv", "report/report.html", "report/report.json"]
    assert len(study.jobs()) == 1


def test_once_fails_when_the_report_could_not_be_written(study: Box, photograph: Pixels) -> None:
    study.drop("in/cat.png", crops(photograph, 1)[0])
    (study.folder / "report").write_text("a file where the folder should be")
    assert "report:" in study.once(check=1).stdout
    assert study.states() == {"cat.png": "done"}


def test_cancelling_what_waits_completes_the_report(study: Box, photograph: Pixels) -> None:
    study.drop("in/cat.png", crops(photograph, 1)[0])
    daemon = study.start(before=PROMPTLY)
    wait_until(partial(reported, study, 1), what="the report")
    with closing(sqlite3.connect(study.folder / "var/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE jobs SET state = 'waiting', not_before = 1e12")
    wait_until(lambda: not report(study)["complete"], what="a report in progress")
    study.darkroom("cancel", str(study.jobs()[0]["id"]))
    wait_until(lambda: report(study)["complete"], what="a complete report")
    daemon.stop()


def test_a_picture_is_charged_for_what_a_study_makes_of_it() -> None:
    steps = parse_chain([{"pool_upsample_psnr": {"size": 512}}])
    assert side_of(steps) == 512 and side_of(parse_chain(["mosaic", "psnr"])) is None


def test_sources_go_only_when_their_numbers_are_safe(study: Box, photograph: Pixels) -> None:
    study.write_config(REPORT + "    source: delete\n")
    for index, crop in enumerate(crops(photograph, 4)):
        study.drop(f"in/{index}.png", crop)
    script = (
        "import os, sys; import daemon.publishing.publish as place; real = place.Ledger.advance\n"
        "def crash(self, moves, **how):\n"
        "    real(self, moves, **how)\n"
        "    if any(move.measured for move in moves):\n"
        "        assert how == {'durable': True}; os._exit(9)\n"
        "place.Ledger.advance = crash\n"
        "from daemon.cli import main; sys.exit(main(['run', '--once']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=study.folder, env=ENVIRONMENT, check=False, timeout=60)
    assert done.returncode == 9 and study.files("in") == [f"{index}.png" for index in range(4)]
    study.once()
    assert study.files("in") == [] and len(rows(study)) == 4 * ROWS


def test_a_report_that_cannot_be_written_costs_no_picture(study: Box, photograph: Pixels) -> None:
    study.drop("in/cat.png", crops(photograph, 1)[0])
    (study.folder / "report").write_text("a file where the folder should be")
    daemon = study.start()
    wait_until(lambda: study.states().get("cat.png") == "done", what="done")
    wait_until(lambda: daemon.said("report:"), what="the complaint")
    (study.folder / "report").unlink()
    wait_until((study.folder / "report/report.html").exists, what="the report")
    assert daemon.stop() == 0
    assert len(rows(study)) == ROWS


def test_a_running_daemon_keeps_the_report_up_to_date(study: Box, photograph: Pixels) -> None:
    daemon = study.start(before=PROMPTLY)
    assert daemon.said("report/report.html")
    for number, crop in enumerate(crops(photograph, 3), 1):
        study.drop(f"in/{number}.png", crop)
        wait_until(partial(reported, study, number), what=f"a report over {number} pictures")
        assert report(study)["complete"] is True
    daemon.stop()
    assert sorted(study.files("report")) == ["report.csv", "report.html", "report.json"]


def test_status_and_check_know_reports(study: Box) -> None:
    study.darkroom("check")
    (rule,) = json.loads(study.darkroom("status", "--json", check=3).stdout)["rules"]
    assert rule["output"] is None and rule["report"] == str(study.folder / "report")


# -- one shot ----------------------------------------------------------------------------------------------------


def test_apply_measures(box: Box, photograph: Pixels, tmp_path_factory: pytest.TempPathFactory) -> None:
    for index, crop in enumerate(crops(photograph, 3)):
        box.drop(f"{index}.png", crop)
    box.drop("gray.png", gray(photograph))
    names = [f"{index}.png" for index in range(3)]
    told = box.darkroom("apply", STUDY, *names, "gray.png", "-o", "report", timeout=300).stdout
    assert "gray.png: skipped: gray: channel correlation" in told and "true: PSNR ∞" in told
    assert box.files("report") == [*(f"{name}.json" for name in names), "report.csv", "report.html", "report.json"]
    assert len(rows(box)) == 3 * ROWS


def test_apply_writes_the_picture_and_its_psnr(box: Box, small: Pixels) -> None:
    box.drop("cat.png", small)
    told = box.darkroom("apply", COMPARED, "cat.png", "-o", "out.png", timeout=300).stdout
    expected = peak_signal_noise_ratio(small, box.picture("out.png"))
    assert f"PSNR {expected:.2f} dB" in told
    assert json.loads((box.folder / "out.png.json").read_text())["psnr"] == pytest.approx(expected, abs=1e-3)
    box.darkroom("apply", COMPARED, "cat.png", "-o", "out.json", check=2)
    assert "known" in box.darkroom("apply", "psnrr", "cat.png", "-o", "out", check=2).stderr
