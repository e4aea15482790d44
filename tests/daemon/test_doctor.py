"""`darkroom doctor`: on a sound machine nothing is wrong; each fault is found, with what mends it; nothing is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.config import load_config
from daemon.doctor import codecs, devices, folders, machine, packages
from daemon.doctor.values import Finding, State
from daemon.runtime.devices import Device
from export.store import checksum
from tests.box import ENVIRONMENT, Box, Pixels, wait_until
from tests.daemon.test_faults import fill, needs_root, small_disk
from tests.runtime.fakes import FakeEngine
from tests.runtime.test_outside import works

AREAS = ["configuration", "devices", "rules", "formats", "folders", "inotify", "ledger", "packages", "weights"]


def examined(box: Box, *words: str, check: int = 0) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(box.darkroom("doctor", "--json", *words, check=check).stdout)
    assert report["ok"] == (check == 0)
    return report


def about(report: dict[str, Any], area: str, name: str = "") -> list[dict[str, str]]:
    return [found for found in report["findings"] if found["area"] == area and found["name"].endswith(name)]


def faults(report: dict[str, Any]) -> list[dict[str, str]]:
    return [found for found in report["findings"] if found["state"] == "fault"]


# -- a sound machine ---------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_and_nothing_is_left(box: Box, small: Pixels) -> None:
    box.drop("in/deep/cat.png", small)
    box.once()
    before = box.files("in"), box.files("out")
    report = examined(box)
    assert list(dict.fromkeys(found["area"] for found in report["findings"])) == AREAS and faults(report) == []
    assert set(report) == {"version", "config", "ok", "findings"}
    assert set(report["findings"][0]) == {"area", "name", "state", "detail", "remedy"}
    assert about(report, "devices", "cpu")[0]["detail"] == "a picture came out right"
    assert about(report, "rules", "mosaic")[0]["detail"].startswith("its graph agrees with PyTorch on the ")
    assert [found["name"] for found in about(report, "formats")] == ["jpeg", "png", "webp", "tiff", "bmp"]
    assert "events come" in about(report, "folders", "/in")[0]["detail"]
    assert "written, synced and renamed" in about(report, "folders", "/out")[0]["detail"]
    assert about(report, "inotify", "max_user_watches")[0]["detail"].startswith("2 of "), "a watch a folder"
    assert about(report, "ledger")[0]["detail"] == "1 job; no daemon runs"
    assert (box.files("in"), box.files("out")) == before


def test_for_people_a_mark_and_what_was_looked_at(box: Box) -> None:
    said = box.darkroom("doctor").stdout.splitlines()
    assert "  ok     cpu: a picture came out right" in said and said[-1] == "nothing is wrong"
    assert all(line.startswith(("  ok     ", "  note   ", "         → ")) or line in ("", *AREAS) for line in said[:-1])


def test_beside_a_running_daemon(box: Box) -> None:
    """What the doctor tries, the daemon does not take for work."""
    daemon = box.start()
    report = examined(box)
    assert (
        about(report, "ledger")[0]["detail"].endswith("a daemon works here") or not about(report, "ledger")[0]["remedy"]
    )
    assert box.jobs() == [] and daemon.process.poll() is None and box.files("out") == []


def test_before_anything_was_made(box: Box) -> None:
    box.rules(head="state_dir: elsewhere")
    report = examined(box)
    assert "darkroom makes it" in about(report, "folders", "/in")[0]["detail"]
    assert "not compiled yet" in about(report, "rules", "mosaic")[0]["detail"]
    assert not (box.folder / "in").exists() and not (box.folder / "elsewhere").exists()


# -- the configuration -------------------------------------------------------------------------------------------------


def test_without_a_configuration_the_machine_is_looked_at(box: Box) -> None:
    (box.folder / "config.yaml").unlink()
    report = examined(box)
    assert report["config"] is None and "only the machine" in about(report, "configuration")[0]["detail"]
    assert about(report, "devices", "cpu")[0]["state"] == "ok" and about(report, "folders") == []


def test_a_faulty_configuration_is_a_fault_and_the_machine_is_looked_at(box: Box) -> None:
    box.write_config("version: 1\nrules:\n  - name: a\n    wach: in\n    steps: mosiac\n    output: out/{stem}.{ext}\n")
    report = examined(box, check=1)
    told = about(report, "configuration")
    assert any("wach" in found["detail"] for found in told)
    assert any("did you mean mosaic?" in found["remedy"] for found in told)
    assert about(report, "devices", "cpu")[0]["state"] == "ok"


def test_a_configuration_that_is_named_and_not_there(box: Box) -> None:
    (told,) = faults(examined(box, "-c", "missing.yaml", check=1))
    assert "missing.yaml" in told["detail"] and told["remedy"]


# -- devices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "tensorrt-rtx"])
def test_a_named_device_that_does_not_work_is_a_fault(box: Box, device: str) -> None:
    if works(device):
        pytest.skip(f"{device} works on this machine")
    assert about(examined(box), "devices", device)[0]["state"] == "note", "nobody asked for it"
    box.rules(head=f"runtime: {{device: {device}}}")
    (told,) = faults(examined(box, check=1))
    assert told["name"] == device and told["remedy"]


def test_a_card_that_works_and_one_that_lies(box: Box) -> None:
    box.rules(head="runtime: {device: cuda}")
    config = load_config(box.folder / "config.yaml")

    def told(engine: FakeEngine) -> dict[str, Finding]:
        return {found.name: found for found in devices.examine(config, engine)}

    sound = told(FakeEngine())
    assert sound["cuda"].state is State.OK and "NVIDIA H200, compute capability 9.0" in sound["cuda"].detail
    assert sound["mosaic"].detail == "its graph agrees with PyTorch on the cuda"
    lying = told(FakeEngine(silent={Device.CUDA}))
    assert lying["cuda"].state is State.FAULT and "silently fell back" in lying["cuda"].detail
    assert "doctor" not in lying["cuda"].remedy and "nvidia-smi" in lying["cuda"].remedy
    assert lying["tensorrt"].state is State.NOTE and "mosaic" not in lying


def test_a_graph_that_does_not_agree(box: Box) -> None:
    for card in (box.folder / "var/graphs").glob("*.json"):
        made = json.loads(card.read_text())
        made["golden"]["outputs"]["other"] = {"type": "uint8", "shape": [0], "data": "eJwDAAAAAAE="}
        card.write_text(json.dumps({**made, "golden_sha256": checksum(made["golden"])}))
    (told,) = faults(examined(box, check=1))
    assert told["area"] == "rules" and "gave no 'other'" in told["detail"] and "built again" in told["remedy"]


@pytest.mark.parametrize(
    ("golden", "sealed", "words"),
    [
        (None, False, "not compiled yet"),
        ({"outputs": {}}, False, "not compiled yet"),
        ({"none": "too large"}, True, "what it computes was not compared: too large"),
    ],
)
def test_what_was_not_compared_is_not_said_to_agree(box: Box, golden: object, sealed: bool, words: str) -> None:
    for card in (box.folder / "var/graphs").glob("*.json"):
        made = {**json.loads(card.read_text()), "golden": golden}
        card.write_text(json.dumps(made | ({"golden_sha256": checksum(golden)} if sealed else {})))
    config = load_config(box.folder / "config.yaml")
    (told,) = [found for found in devices.examine(config) if found.area == "rules" and found.name]
    assert told.state is State.NOTE and words in told.detail and "agrees" not in told.detail


# -- folders -----------------------------------------------------------------------------------------------------------


def test_a_file_where_a_folder_must_be(box: Box) -> None:
    box.drop("out", b"a file")
    (told,) = faults(examined(box, check=1))
    assert told["name"].endswith("/out") and "is no folder" in told["detail"] and told["remedy"].startswith("`mv ")


@pytest.mark.root
@needs_root
def test_a_full_disk(box: Box) -> None:
    with small_disk(box.folder / "out") as out:
        fill(out)
        (told,) = faults(examined(box, check=1))
    assert "No space left" in told["detail"] and "tmpfs" in told["detail"] and "`du -xh" in told["remedy"]


@pytest.mark.root
@needs_root
def test_a_disk_mounted_read_only(box: Box) -> None:
    with small_disk(box.folder / "out") as out:
        subprocess.run(["mount", "-o", "remount,ro", out], check=True)
        (told,) = faults(examined(box, check=1))
        assert "Read-only" in told["detail"] and f"`sudo mount -o remount,rw {out}`" in told["remedy"]
        box.rules("output: out/deep/{stem}.{ext}")
        (told,) = faults(examined(box, check=1))
    assert f"`sudo mount -o remount,rw {out}`" in told["remedy"], "and one that is to be made there"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_made(box: Box) -> None:
    (box.folder / "locked").mkdir(mode=0o555)
    box.rules("output: locked/out/{stem}.{ext}")
    (told,) = faults(examined(box, check=1))
    assert "cannot be written" in told["detail"] and told["remedy"].startswith("`sudo install -d")


def test_network_shares_are_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.intake.scan.file_system_of", lambda folder: "nfs4")
    monkeypatch.setattr(folders, "file_system_of", lambda folder: "nfs4")
    (box.folder / "in").mkdir()
    told = {Path(found.name).name: found for found in folders.examine(load_config(box.folder / "config.yaml"))}
    assert told["in"].state is State.NOTE and "nfs4, a network share" in told["in"].detail
    assert told["var"].state is State.FAULT and "disk of this machine" in told["var"].remedy


def test_events_that_do_not_come(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "EVENT_WITHIN", 0.01)
    monkeypatch.setattr("daemon.intake.hints.Hints.folder", lambda *given, **named: None)
    (box.folder / "in").mkdir()
    told = next(folders.examine(load_config(box.folder / "config.yaml")))
    assert told.state is State.FAULT and "no event came" in told.detail and "rescan" in told.remedy
    assert box.files("in") == []


def test_no_inotify_instances_left(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*given: object, **named: object) -> None:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr("watchdog.observers.inotify_c.Inotify.__init__", none_left)
    (box.folder / "in").mkdir()
    told = next(folders.examine(load_config(box.folder / "config.yaml")))
    assert (
        told.state is State.FAULT and "limit reached" in told.detail and told.remedy.endswith("sudo sysctl --system`")
    ), "kept over a restart"
    assert "'%s\\n' fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024 | sudo tee" in told.remedy


def test_what_a_killed_doctor_left_is_cleared(box: Box) -> None:
    for name in ("in/.darkroom-doctor-7", "in/.darkroom-doctor-8"):
        (box.folder / name).mkdir(parents=True)
    box.drop("out/.darkroom-doctor-7.renamed", b"a trial")
    os.utime(box.folder / "in/.darkroom-doctor-7", (1, 1))
    list(folders.examine(load_config(box.folder / "config.yaml")))
    assert [path.name for path in (box.folder / "in").iterdir()] == [".darkroom-doctor-8"], "it may be at work"
    assert list((box.folder / "out").iterdir()) == []


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_too_small_a_budget_of_watches(box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number in range(10):
        (box.folder / f"in/{number}").mkdir(parents=True)
    budget = tmp_path / "inotify"
    budget.mkdir()
    (budget / "max_user_watches").write_text("8\n")
    monkeypatch.setattr(machine, "INOTIFY", budget)
    told = {found.name: found for found in machine.examine(load_config(box.folder / "config.yaml"))}
    assert told["max_user_watches"].state is State.FAULT and told["max_user_watches"].detail == "11 of 8 needed"
    assert "fs.inotify.max_user_watches=22" in told["max_user_watches"].remedy
    assert told["max_user_instances"].state is State.NOTE, "cannot be read"


def test_a_broken_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise ImportError("libwebp.so.7: cannot open shared object file")

    monkeypatch.setattr(codecs, "decode", broken)
    told = list(codecs.examine())
    assert {found.state for found in told} == {State.FAULT} and "libwebp" in told[0].detail
    assert told[0].remedy.startswith(f"`{sys.executable} -m pip install")


def test_a_ledger_that_is_none(box: Box) -> None:
    box.drop("var/ledger.db", b"this is no ledger\n" * 300)
    (told,) = faults(examined(box, check=1))
    assert told["area"] == "ledger" and told["remedy"]


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ("numpy", "no-such-package"))
    told = [found for found in packages.examine() if found.state is State.FAULT]
    remedy = f"`{sys.executable} -m pip install no-such-package`"
    assert [(found.name, found.remedy) for found in told] == [("no-such-package", remedy)]


@pytest.mark.parametrize(
    ("there", "words"),
    [({"onnxruntime"}, None), ({"onnxruntime-gpu"}, None), (set(), "not installed"),
     ({"onnxruntime", "onnxruntime-gpu"}, "stands beside")],
)  # fmt: skip
def test_one_onnxruntime_is_enough(monkeypatch: pytest.MonkeyPatch, there: set[str], words: str | None) -> None:
    """NVIDIA advises the plain one beside TensorRT-RTX."""
    known = {*packages.PACKAGES, "onnxruntime"} - {"onnxruntime", "onnxruntime-gpu"} | there
    monkeypatch.setattr(packages, "version_of", lambda name: "1.31.1" if name in known else "")
    told = [found.detail for found in packages.examine() if found.state is State.FAULT]
    assert [words in detail for detail in told if words] == ([True] if words else []) and len(told) == bool(words)


WITHOUT = """
import sys
from importlib import metadata
given, real = sys.argv.pop(1), metadata.distribution
sys.modules[given] = None  # to import it is an error
def distribution(name):
    if name == given:
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.distribution = distribution
from daemon.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "package", "area"),
    [
        ("simplejpeg", "simplejpeg", "formats"),
        ("cv2", "opencv-python-headless", "formats"),
        ("watchdog", "watchdog", "folders"),
        ("onnxruntime", "onnxruntime-gpu", "devices"),
        ("onnx", "onnx", "devices"),
        ("yaml", "pyyaml", "configuration"),
        ("onnxscript", "onnxscript", "devices"),
    ],
)
def test_whatever_is_missing_the_rest_is_looked_at(box: Box, module: str, package: str, area: str) -> None:
    command = [sys.executable, "-c", WITHOUT, module, "doctor", "--json"]
    done = subprocess.run(command, cwd=box.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == ""
    report = json.loads(done.stdout)
    told = [found for found in faults(report) if found["area"] == area]
    assert any(package in found["detail"] and f"{package}`" in found["remedy"] for found in told)
    assert all(found["remedy"].startswith(f"`{sys.executable} -m pip install ") for found in told)
    assert about(report, "packages")[-1]["state"] == "ok", "the last area"


def test_a_daemon_that_works_is_seen(box: Box) -> None:
    box.start()
    wait_until((box.folder / "var/ledger.db").exists)
    assert about(examined(box), "ledger")[0]["detail"] == "0 jobs; a daemon works here"
