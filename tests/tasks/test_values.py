"""The values around a task: messages, the history of losses, the plot, the words, the folder."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from daemon.errors import BlockedError
from daemon.tasks import messages, results, trace
from daemon.tasks.folder import Card, TaskFolder
from daemon.tasks.history import MOST, History
from daemon.tasks.messages import ProtocolError
from daemon.tasks.view import TaskView, duration

RUN = messages.Run("/a/ü\udcff", "wander", {"x": [1, 2.5, None], "y": {"z": True}}, ("near", "far"), "k", 1, 0.1, None)
ORDERS = [RUN, messages.Stop()]
REPORTS = [
    messages.Ready("cuda:0"),
    messages.Alive(),
    messages.Stepped(3, 9, {"loss": 0.1, "far": math.inf}, None),
    messages.Saved(3),
    messages.Previewed(),
    messages.Finished(
        {"a": 1, "b": "two"}, ("noise",), ("at night",), 9, 1.25, ((1, {"loss": 2.0}), (9, {"loss": 1e-300}))
    ),
    messages.Stopped(3, 9),
    messages.Failed("disk", "no\nspace", 28),
]


def test_every_kind_of_message_is_tried() -> None:
    assert {type(order) for order in ORDERS} == set(messages.ORDERS)
    assert {type(report) for report in REPORTS} == set(messages.REPORTS)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_orders_survive_the_way(order: messages.Order) -> None:
    line = messages.line_of(order)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    back = messages.order_of(line)
    if isinstance(back, messages.Run) and isinstance(order, messages.Run):
        assert list(back.parameters["x"]) == order.parameters["x"] and back.folder == order.folder
        assert back.roles == order.roles and back.preview is None and back.checkpoint == order.checkpoint
    else:
        assert back == order
    with pytest.raises(ProtocolError):
        messages.report_of(line)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_reports_survive_the_way(report: messages.Report) -> None:
    line = messages.line_of(report)
    assert line.count(b"\n") == 1 and messages.report_of(line) == report
    with pytest.raises(ProtocolError):
        messages.order_of(line)


GARBAGE = [
    b"",
    b"\n",
    b"{",
    b"[]",
    b"7",
    b"null",
    b'"Alive"',
    b"\xff\xfe",
    b"{}",
    b'{"message": "Nothing"}',
    b'{"message": ["Alive"]}',
    b'{"message": "Saved"}',
    b'{"message": "Saved", "step": 1, "more": 2}',
    b'{"message": "Alive"} {"message": "Alive"}',
    b"Loading weights: 100%",
    b"[" * 100_000,
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:30]))
def test_garbage_is_no_message(line: bytes) -> None:
    for read in (messages.order_of, messages.report_of):
        with pytest.raises(ProtocolError):
            read(line)


def noted(history: History, first: int, last: int, tensors: bool = False) -> History:
    for step in range(first, last + 1):
        loss = 1 / step
        history.note(step, {"loss": torch.tensor(loss, dtype=torch.float64) if tensors else loss, "far": 2.0 * step})
    return history


@pytest.mark.parametrize("last", [1, 2, MOST - 1, MOST, MOST + 1, 2 * MOST + 1, 5000])
def test_a_history_is_thin_and_has_its_first_and_last_step(last: int) -> None:
    pairs = list(noted(History(), 1, last).plain_pairs())
    steps = [step for step, _ in pairs]
    assert steps[0] == 1 and steps[-1] == last and steps == sorted(set(steps))
    assert len(steps) <= MOST + 2 and len(steps) >= min(last, MOST // 2)
    assert all(losses == {"loss": 1 / step, "far": 2.0 * step} for step, losses in pairs)
    gaps = {after - before for before, after in pairwise(steps[:-1])}
    assert len(gaps) <= 1, "evenly spread"


@pytest.mark.parametrize("last", [5, MOST + 7, 1700, 5000])
def test_a_history_that_is_split_anywhere_is_the_same(last: int) -> None:
    """As a checkpoint does it, through JSON, and after the last step too."""
    whole, chance = list(noted(History(), 1, last).plain_pairs()), random.Random(last)
    for split in {1, 2, last - 1, last, *(chance.randint(1, last) for _ in range(20))}:
        kept = json.loads(json.dumps(noted(History(), 1, split, tensors=True).plain()))
        resumed = noted(History(kept), split + 1, last)
        assert list(resumed.plain_pairs()) == whole, f"split after {split}"


def test_a_history_keeps_values_not_tensors_that_change() -> None:
    loss, history = torch.tensor(1.0), History()
    history.note(1, {"loss": loss})
    loss.fill_(2)
    history.note(2, {"loss": loss})
    assert [losses["loss"] for _, losses in history.plain_pairs()] == [1.0, 2.0]
    assert history.last() == {"loss": 2.0}


HISTORIES: dict[str, list[tuple[int, dict[str, float]]]] = {
    "empty": [],
    "one step": [(1, {"loss": 3.0})],
    "one zero": [(1, {"loss": 0.0})],
    "constant": [(step, {"loss": 0.5}) for step in range(1, 60)],
    "zeros": [(step, {"loss": 0.0}) for step in range(1, 60)],
    "no numbers": [(step, {"loss": math.nan, "far": math.inf}) for step in range(1, 9)],
    "some numbers": [(s, {"loss": 1 / s, "bad": math.nan if s % 2 else -math.inf, "less": -1.0}) for s in range(1, 99)],
    "huge and small": [(1, {"loss": 1e300}), (2, {"loss": 1e-300})],
    "a term that comes later": [(1, {"loss": 1.0}), (2, {"loss": 0.5, "more": 2.0})],
    "wild names": [(1, {'<loss> & "more"': 1.0}), (2, {'<loss> & "more"': 0.5})],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_every_history_can_be_drawn_and_written(name: str) -> None:
    history = HISTORIES[name]
    drawn = trace.as_svg("in/<a> & 'b'\udcff.png: wander", history)
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not {"nan", "inf"} & set(drawn.decode().replace(",", " ").replace('"', " ").split())
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= trace.WIDTH and 0 <= y <= trace.HEIGHT
    told: dict[str, Any] = json.loads(
        trace.as_json("a\udcff.png", "wander", {"steps": 3}, history), parse_constant=pytest.fail
    )
    assert [row["step"] for row in told["losses"]] == [step for step, _ in history]
    assert told["record"] == {"steps": 3}


def test_a_curve_falls_as_the_losses_do() -> None:
    drawn = ElementTree.fromstring(trace.as_svg("t", [(step, {"loss": 10.0**-step}) for step in range(1, 6)]))
    (line,) = drawn.iter("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert len(places) == 5 and places == sorted(places), "downwards is a larger y, to the right a larger x"
    assert np.ptp(np.diff([y for _, y in places])) < 0.1, "on a logarithmic scale a straight line"


def test_the_ledger_keeps_fifty_of_them() -> None:
    history = [(step, {"loss": 1.0 / step}) for step in range(1, 402)]
    kept = results.thinned(history)
    assert len(kept) == results.KEPT and kept[0]["step"] == 1 and kept[-1] == {"step": 401, "loss": 1 / 401}
    assert results.thinned(history[:7]) == [{"step": step, **losses} for step, losses in history[:7]]
    assert results.thinned([]) == []


def test_what_people_read() -> None:
    view = TaskView(1, "r", "a.png", 0.0)
    assert str(view) == "waits for PyTorch to load"
    assert str(TaskView(1, "r", "a.png", 0.0, device="cpu")) == "begins"
    far = TaskView(1, "r", "a.png", 0.0, "cpu", 1234, 20000, {"loss": 1234.5678, "far": 1.0}, 75.4)
    assert str(far) == "step 1,234 of 20,000, loss 1,235, 75 s left"
    told = {0.2: "0 s", 89: "89 s", 90: "2 min", 5399: "90 min", 5400: "1.5 h", 36000: "10.0 h"}
    assert {seconds: duration(seconds) for seconds in told} == told


def test_the_folder_of_a_task(tmp_path: Path) -> None:
    folder, pixels = TaskFolder(tmp_path / "7"), np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert folder.card() == Card() and folder.preview_path() is None
    folder.write_input("picture", pixels)
    assert np.array_equal(folder.read("input-picture"), pixels)
    folder.write_card(Card(1, 20, 3))
    assert folder.card() == Card(1, 20, 3)
    folder.keep_preview_path("/out/ü\udcff.preview.jpg")
    assert folder.preview_path() == "/out/ü\udcff.preview.jpg"
    folder.keep_preview_path(None)
    folder.checkpoint.write_bytes(b"kept")
    (folder.path / "half.1.tmp").write_bytes(b"")
    folder.close(keep_checkpoint=True)
    assert sorted(path.name for path in folder.path.iterdir()) == ["card.json", "checkpoint.safetensors"]
    folder.close(keep_checkpoint=False)
    assert not folder.path.exists()
    folder.close(keep_checkpoint=True)


@pytest.mark.parametrize("card", [b"", b"{", b"[]", b"7", b'{"thrift": 1, "more": 2}', b"\xff"])
def test_a_damaged_card_is_a_new_one(tmp_path: Path, card: bytes) -> None:
    (tmp_path / "card.json").write_bytes(card)
    assert TaskFolder(tmp_path).card() == Card()


def test_pixels_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "7").write_bytes(b"a file stands here")
    with pytest.raises(BlockedError, match="move it away"):
        TaskFolder(tmp_path / "7").write("result", np.zeros((1, 1, 3), np.uint8))
    TaskFolder(tmp_path / "7").write_card(Card(1))
