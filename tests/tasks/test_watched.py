"""What people see of a task: status, the journal, the job's record, previews, the trace."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import cv2

from tests.box import Pixels, read, wait_until
from tests.metrics.scrape import of_socket
from tests.tasks.taskbox import SLOW, TaskBox, losses, rule, workers


def preview_bytes(path: Path) -> bytes:
    """A preview as it is now; empty if it is not there."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_running_task_from_all_sides(taskbox: TaskBox, tiny: Pixels) -> None:
    """The output lies inside the watched folder, and nothing of it is taken for a picture, the preview neither."""
    inside = "output: slow/out/{stem}.{ext}"
    taskbox.configure(rule("slow", SLOW, inside, "preview: 200ms", "trace: true"))
    config = (taskbox.folder / "config.yaml").read_text()
    taskbox.write_config(f"{config}metrics: {{socket: metrics.sock}}\n")
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    taskbox.until_step(3)
    job = taskbox.row("slow/cat.png")[0]

    scrape, labels = of_socket(taskbox.folder / "metrics.sock"), {"rule": "slow", "job_id": str(job)}
    step = scrape.value("darkroom_task_step", **labels) or 0
    assert 3 <= step < 200 and scrape.value("darkroom_task_steps", **labels) == 200
    assert scrape.value("darkroom_task_progress_ratio", **labels) == step / 200

    status = taskbox.status()
    (task,) = status["tasks"]
    assert (task["job"], task["rule"], task["picture"], task["device"]) == (job, "slow", "cat.png", "cpu")
    assert [task["worker"]] == workers(daemon)
    assert 3 <= task["step"] < task["steps"] == 200
    assert task["loss"] == task["losses"]["loss"] > 0 and set(task["losses"]) == {"loss", "far"}
    assert 0 < task["seconds_left"] < 600 and "T" in task["started"]
    assert status["rules"][0]["counts"]["running"] == 1
    text = taskbox.darkroom("status").stdout
    assert f"job {job}, cat.png: step " in text and " of 200, loss 0." in text and " s left" in text
    assert any(line.startswith("slow: cat.png: step ") and " of 200, loss " in line for line in daemon.lines)
    assert sum(line.startswith("slow: cat.png: step ") for line in daemon.lines) == 1, "a line a minute"
    assert taskbox.job("slow/cat.png")["state"] == "running"

    path = taskbox.folder / "slow/out/cat.preview.jpg"
    first = wait_until(lambda: preview_bytes(path), 60, "a preview")
    assert first.startswith(b"\xff\xd8") and read(path).shape == tiny.shape
    wait_until(lambda: preview_bytes(path) not in (b"", first), 60, "the next preview")
    assert taskbox.files("slow") == ["cat.png", "out/cat.preview.jpg"] or any(
        name.startswith("out/.darkroom-") for name in taskbox.files("slow")
    )

    taskbox.until("slow/cat.png", "done")
    names = ["cat.png", "cat.png.noise.jpg", "cat.png.trace.json", "cat.png.trace.svg"]
    assert taskbox.files("slow/out") == names, "the preview is gone"
    daemon.stop()
    taskbox.once()
    assert [Path(each["source"]).name for each in taskbox.jobs()] == ["cat.png"], "nothing of ours was taken"

    done = taskbox.job("slow/cat.png")
    record = done["record"]
    assert record["steps"] == 200 and record["seconds"] > 5 and record["end"] == losses(done)[-1]["loss"]
    assert done["device"] == "cpu" and "200 steps in " in done["reason"] and "published: 48×32 png" in done["reason"]
    assert len(losses(done)) == 50 and [losses(done)[place]["step"] for place in (0, -1)] == [1, 200]
    traced = json.loads((taskbox.folder / "slow/out/cat.png.trace.json").read_text())
    steps = [row["step"] for row in traced["losses"]]
    assert steps == list(range(1, 201)) and traced["record"] == record and traced["picture"] == "cat.png"
    assert traced["losses"][-1] == losses(done)[-1]
    root = ElementTree.parse(taskbox.folder / "slow/out/cat.png.trace.svg").getroot()
    assert root.tag.endswith("svg") and len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    assert cv2.imread(str(taskbox.folder / "slow/out/cat.png.noise.jpg")) is not None


def test_a_preview_that_is_not_wanted_there(taskbox: TaskBox, tiny: Pixels) -> None:
    """A file of the user's with its name stays, and is told of; the task does not mind. `on_conflict` minds neither."""
    quick = "wander: {steps: 40, pause: 0.05}"
    taskbox.configure(
        rule("slow", quick, "preview: 200ms"),
        rule("renamed", quick, "preview: 200ms", "on_conflict: rename"),
        tasks="checkpoint: 100ms, concurrency: 2",
    )
    mine = taskbox.drop("out/slow/cat.preview.jpg", b"mine")
    taskbox.drop("out/renamed/cat.png", b"mine too")
    taskbox.drop("slow/cat.png", tiny)
    taskbox.drop("renamed/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(lambda: "renamed/cat.preview.jpg" in taskbox.files("out"), 120, "a preview")
    taskbox.until("slow/cat.png", "done")
    taskbox.until("renamed/cat.png", "done")
    told = [line for line in daemon.lines if "cat.preview.jpg: exists and is not this task's" in line]
    assert len(told) == 1, daemon.lines
    assert mine.read_bytes() == b"mine"
    assert (taskbox.folder / "out/renamed/cat.png").read_bytes() == b"mine too"
    expected = ["renamed/cat-1.png", "renamed/cat-1.png.noise.jpg", "renamed/cat.png"]
    assert taskbox.files("out") == [*expected, "slow/cat.png", "slow/cat.png.noise.jpg", "slow/cat.preview.jpg"]


def test_a_preview_that_became_a_link(taskbox: TaskBox, tiny: Pixels) -> None:
    """Somebody's, that leads nowhere: it is let be, and the task and those after it go on."""
    taskbox.configure(rule("slow", "wander: {steps: 60, pause: 0.05}", "preview: 100ms"))
    taskbox.drop("slow/cat.png", tiny)
    daemon = taskbox.start()
    wait_until(taskbox.previews, 120, "a preview")
    link, path = taskbox.folder / "link", taskbox.folder / "out/slow/cat.preview.jpg"
    link.symlink_to("nowhere")
    link.replace(path)
    taskbox.drop("slow/dog.png", tiny)
    taskbox.until("slow/cat.png", "done")
    assert path.is_symlink() and daemon.said("cat.preview.jpg: exists and is not this task's")
    taskbox.until("slow/dog.png", "done")
    assert [job["attempts"] for job in taskbox.jobs()] == [0, 0] and len(taskbox.begins()) == 2


def test_a_name_that_cannot_be_is_refused_before_the_work(taskbox: TaskBox, tiny: Pixels) -> None:
    """That of the output, and that of what lies beside it; the others go on."""
    taskbox.configure(
        rule("calm", "wander: {steps: 3}", 'output: "out/{stem}-wandered.png"', "preview: 100ms"),
        rule("traced", "wander: {steps: 3}", "trace: true"),
    )
    (output, beside) = (f"calm/{'n' * 245}.png", f"traced/{'n' * 245}.png")
    for name in (output, beside, "calm/cat.png", "traced/cat.png"):
        taskbox.drop(name, tiny)
    taskbox.once(check=1)
    for name in (output, beside):
        job = taskbox.job(name)
        assert job["state"] == "failed" and "255" in job["reason"] and "rename the picture" in job["reason"]
    assert taskbox.job("calm/cat.png")["state"] == taskbox.job("traced/cat.png")["state"] == "done"
    assert len(taskbox.begins()) == 2, "no step was made for the others"


def test_what_is_out_of_date_goes(taskbox: TaskBox, tiny: Pixels) -> None:
    """Made again without a trace: the old one would say something untrue. A file that a user changed stays."""
    quick = "wander: {steps: %d}"
    taskbox.configure(rule("calm", quick % 5, "trace: true"))
    for name in ("cat", "dog"):
        taskbox.drop(f"calm/{name}.png", tiny)
    taskbox.once()
    traces = ["trace.json", "trace.svg"]
    assert taskbox.files("out/calm") == [
        f"{name}.png{tail}" for name in ("cat", "dog") for tail in ("", ".noise.jpg", *[f".{t}" for t in traces])
    ]
    (taskbox.folder / "out/calm/dog.png.trace.svg").write_text("<svg>mine</svg>")
    taskbox.configure(rule("calm", quick % 6))
    for name in ("cat", "dog"):
        taskbox.drop(f"calm/{name}.png", tiny[::-1])
    taskbox.once()
    assert taskbox.job("calm/cat.png")["record"]["steps"] == 6
    left = taskbox.files("out/calm")
    assert left == ["cat.png", "cat.png.noise.jpg", "dog.png", "dog.png.noise.jpg", "dog.png.trace.svg"]
