"""What `darkroom run` says, for people and for programs, and how much of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from typing import Any

import pytest

from tests.box import Box, Pixels


def said(box: Box, head: str = "") -> list[str]:
    box.rules(head=f"settle: 100ms\n{head}")
    return box.once(check=1).stdout.splitlines()


@pytest.fixture
def mixed(box: Box, small: Pixels) -> Box:
    """Eight sound pictures, and one broken."""
    for number in range(8):
        box.drop(f"in/{number}.png", small)
    box.drop("in/bad.png", b"broken")
    return box


def test_every_job_has_a_line(mixed: Box) -> None:
    lines = said(mixed)
    assert [line for line in lines if " → " in line and line.startswith("mosaic: ")] != []
    assert sum(line.startswith("mosaic: ") and line.endswith(".png") for line in lines) == 8
    assert sum("bad.png: failed: " in line for line in lines) == 1
    assert not any("a batch of" in line for line in lines)


def test_debug_has_a_line_for_every_batch(mixed: Box) -> None:
    lines = said(mixed, "log: {level: debug}")
    pictures = [int(line.split("a batch of ")[1].split(",")[0]) for line in lines if "a batch of" in line]
    assert sum(pictures) == 8 and all("128×96" in line for line in lines if "a batch of" in line)


@pytest.mark.parametrize(("level", "failed", "done"), [("error", True, False), ("warning", True, False)])
def test_less_is_told(mixed: Box, level: str, failed: bool, done: bool) -> None:
    lines = said(mixed, f"log: {{level: {level}}}")
    assert any("bad.png: failed" in line for line in lines) is failed
    assert any("ready" in line or "0.png → " in line for line in lines) is done


def test_json(mixed: Box) -> None:
    mixed.drop(b"in/\xff.png".decode(errors="surrogateescape"), (mixed.folder / "in/0.png").read_bytes())
    events: list[dict[str, Any]] = [json.loads(line) for line in said(mixed, "log: {format: json, level: debug}")]
    assert all({"time", "level", "event", "message"} <= set(event) for event in events)
    jobs = [event for event in events if event.get("event") == "job"]
    assert sorted(event["state"] for event in jobs) == ["done"] * 9 + ["failed"]
    (failed,) = [event for event in jobs if event["state"] == "failed"]
    assert failed["level"] == "error" and failed["picture"].endswith("/in/bad.png") and "output" not in failed
    assert all(event["device"] == "cpu" and event["seconds"] >= 0 for event in jobs if event["state"] == "done")
    assert sum(event["pictures"] for event in events if event.get("event") == "batch") == 9
    assert any("\udcff" in event["message"] for event in jobs)


def test_a_name_does_not_move_the_cursor(box: Box) -> None:
    """Of whoever reads: the system's journal would show no such line at all."""
    box.drop("in/\x1b[31mred\r.png", b"broken")
    assert any("\\x1b[31mred\\r.png: failed: " in line for line in said(box))


def test_the_systems_journal_is_told_the_level(mixed: Box) -> None:
    """systemd connects standard output to a socket, and names that socket in the environment."""
    mixed.rules()
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    environment = mixed.environment | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    child = subprocess.Popen(mixed.command("run", "--once"), cwd=mixed.folder, env=environment, stdout=theirs.fileno())
    theirs.close()
    with ours, ours.makefile("r") as lines:
        told = lines.read().splitlines()
    assert child.wait(60) == 1
    assert all(line.startswith(("<3>", "<4>", "<6>")) for line in told)
    assert [line[:3] for line in told if "bad.png" in line] == ["<3>"]
    assert any(line.startswith("<6>mosaic: 0.png → ") for line in told)
