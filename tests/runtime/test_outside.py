"""Devices as a user meets them: refused at start with the reason, named in every job's record and in `status`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.errors import DarkroomError
from daemon.runtime.choice import choose
from daemon.runtime.ort import OnnxRuntime
from export.store import checksum
from tests.box import Box, Pixels, wait_until

CARDS = ["cuda", "tensorrt", "tensorrt-rtx"]
REMEDIES = ("pip install", "nvidia-driver", "nvidia-smi", "darkroom doctor")


def works(device: str) -> bool:
    try:
        return choose(device, OnnxRuntime()) is not None
    except DarkroomError:
        return False


@pytest.mark.parametrize("device", CARDS)
def test_a_named_device_that_cannot_be_used_refuses_at_start(box: Box, small: Pixels, device: str) -> None:
    if works(device):
        pytest.skip(f"{device} works on this machine")
    box.drop("in/cat.png", small)
    box.rules(head=f"settle: 100ms\nruntime: {{device: {device}}}")
    done = box.darkroom("run", "--once", check=1)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"darkroom: {device}: "), done.stderr
    assert any(remedy in done.stderr for remedy in REMEDIES)
    assert box.files() == [] and "Error" not in done.stdout, "nothing was done on another device"


def test_auto_runs_and_says_what_it_uses_and_why(box: Box, small: Pixels) -> None:
    if works("cuda"):
        pytest.skip("cuda works on this machine: auto takes it")
    box.drop("in/cat.png", small)
    box.rules(head="settle: 100ms\nruntime: {device: auto}")
    said = box.once().stdout.splitlines()
    assert said[0].endswith(", on the cpu")
    assert said[1].startswith("device: auto takes cpu; not cuda") and "tensorrt-rtx" in said[1]
    (job,) = box.jobs()
    assert (job["state"], job["device"]) == ("done", "cpu") and "on the cpu" in job["reason"]


def test_a_named_processor_needs_no_explanation(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    box.rules(head="settle: 100ms\nruntime: {device: cpu}")
    assert not any(line.startswith("device:") for line in box.once().stdout.splitlines())
    assert box.jobs()[0]["device"] == "cpu"


def test_status_tells_the_device_in_use(box: Box) -> None:
    box.rules(head="settle: 100ms\nruntime: {device: cpu}")
    box.start()
    status = json.loads(box.darkroom("status", "--json").stdout)
    assert (status["device"], status["device_choice"]) == ("cpu", None)
    assert status["rules"][0]["device"] == "cpu"
    assert "on the cpu" in box.darkroom("status").stdout


def test_status_without_a_daemon_knows_no_device(box: Box) -> None:
    status = json.loads(box.darkroom("status", "--json", check=3).stdout)
    assert status["device"] is status["device_choice"] is status["rules"][0]["device"] is None


def test_a_graph_that_computes_something_else_is_trouble_of_its_rule(box: Box, small: Pixels) -> None:
    """Its jobs wait and the reason is told; the daemon runs on."""
    for card in Path(box.folder, "var/graphs").glob("*.json"):
        made = json.loads(card.read_text())
        for golden in made["golden"]["outputs"].values():
            golden["shape"] = [1, *golden["shape"]]
        card.write_text(json.dumps({**made, "golden_sha256": checksum(made["golden"])}))
    daemon = box.start()
    box.drop("in/cat.png", small, age=0)
    wait_until(lambda: box.states() == {"cat.png": "waiting"})
    assert daemon.said("mosaic: no graph yet: ") and daemon.said("cpu computes something else: output has the shape")
    status = json.loads(box.darkroom("status", "--json").stdout)
    assert "computes something else" in status["rules"][0]["blocked"]
