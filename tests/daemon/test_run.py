"""Rules in, files out."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from tests.box import Box, Pixels, encoded, wait_until


def mosaic_reference(picture: Pixels, block: int = 16) -> Pixels:
    """S1 in float64, in plain NumPy: centre sampling, 5×5 binomial, reflected border, nearest up."""
    height, width = picture.shape[:2]
    rows = np.minimum(np.arange(0, height, block) + block // 2, height - 1)
    columns = np.minimum(np.arange(0, width, block) + block // 2, width - 1)
    cells = np.pad(picture[np.ix_(rows, columns)] / 255, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    blurred = np.zeros((len(rows), len(columns), 3))
    for row, column in np.ndindex(5, 5):
        blurred += kernel[row, column] * cells[row : row + len(rows), column : column + len(columns)]
    small: Pixels = np.rint(255 * np.clip(blurred, 0, 1)).astype(np.uint8)
    return small[np.arange(height) // block][:, np.arange(width) // block]


def test_picture_comes_out_mosaicked(box: Box, photograph: Pixels) -> None:
    box.drop("in/cat.png", photograph)
    box.once()
    assert box.files() == ["cat.png"]
    assert np.array_equal(box.picture("out/cat.png"), mosaic_reference(photograph))
    assert box.files("in") == ["cat.png"]


def test_subfolders_are_mirrored(box: Box, small: Pixels) -> None:
    box.drop("in/a/b/one.png", small)
    box.drop("in/two.PNG", small)
    box.once()
    assert box.files() == ["a/b/one.png", "two.PNG"]


def test_recursive_false(box: Box, small: Pixels) -> None:
    box.rules("recursive: false")
    box.drop("in/a/one.png", small)
    box.drop("in/two.png", small)
    box.once()
    assert box.files() == ["two.png"]


def test_done_is_not_done_again(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    box.once()
    before = (box.folder / "out/cat.png").stat().st_mtime_ns
    box.once()
    assert (box.folder / "out/cat.png").stat().st_mtime_ns == before
    assert len(box.jobs()) == 1


def test_new_content_is_a_new_job(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    box.once()
    box.drop("in/cat.png", small[::-1].copy(), age=30)
    box.once()
    assert [job["state"] for job in box.jobs()] == ["done", "done"]
    assert np.array_equal(box.picture("out/cat.png"), mosaic_reference(small[::-1]))


def test_touched_file_is_skipped_while_its_output_stands(box: Box, small: Pixels) -> None:
    path = box.drop("in/cat.png", small)
    box.once()
    os.utime(path, (time.time() - 20, time.time() - 20))
    box.once()
    newest = box.jobs()[0]
    assert newest["state"] == "skipped" and "same content" in newest["reason"]
    (box.folder / "out/cat.png").unlink()
    os.utime(path, (time.time() - 10, time.time() - 10))
    box.once()
    assert box.files() == ["cat.png"]


def test_ignored_and_unmatched_files_are_let_be(box: Box, small: Pixels) -> None:
    names = [".hidden.png", "half.png.part", "x.crdownload", "y.tmp", "z.png~", ".~lock.png", "Thumbs.db", "note.txt"]
    for name in [*names, "@eaDir/thumb.png", ".git/a.png"]:
        box.drop(f"in/{name}", small if name.endswith("png") else b"x")
    box.once()
    assert box.files() == [] and box.jobs() == []


def test_bad_files_fail_alone(box: Box, small: Pixels) -> None:
    whole = encoded(small, ".jpg")
    box.drop("in/empty.jpg", b"")
    box.drop("in/text.png", b"not a picture at all")
    box.drop("in/short.jpg", whole[: len(whole) // 2])
    box.drop("in/good.jpg", whole)
    box.once(check=1)
    assert box.states() == {"empty.jpg": "failed", "text.png": "failed", "short.jpg": "failed", "good.jpg": "done"}
    assert box.files() == ["empty.jpg.error.txt", "good.jpg", "short.jpg.error.txt", "text.png.error.txt"]
    receipt = (box.folder / "out/short.jpg.error.txt").read_text()
    assert "Why:" in receipt and "What to do:" in receipt and str(box.folder / "in/short.jpg") in receipt


def test_receipt_goes_away_with_success(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", b"broken")
    box.once(check=1)
    assert box.files() == ["cat.png.error.txt"]
    box.drop("in/cat.png", small, age=30)
    box.once()
    assert box.files() == ["cat.png"]


def test_pixel_limit_is_read_from_the_header(box: Box, small: Pixels) -> None:
    box.rules(head="settle: 100ms\nruntime: {max_pixels: 10000}")
    box.drop("in/big.png", small)
    box.once(check=1)
    assert "max_pixels" in box.jobs()[0]["reason"]


def test_conditions_skip_with_the_reason(box: Box, small: Pixels) -> None:
    box.rules("when: {min_width: 200, color: true}")
    gray = np.repeat(small[..., :1], 3, axis=2)
    box.drop("in/narrow.png", small)
    box.drop("in/gray.png", np.tile(gray, (3, 3, 1)))
    box.drop("in/fine.png", np.tile(small, (3, 3, 1)))
    box.once()
    reasons = {Path(job["source"]).name: (job["state"], job["reason"]) for job in box.jobs()}
    assert reasons["narrow.png"] == ("skipped", "width 128 < min_width 200")
    assert reasons["gray.png"] == ("skipped", "gray, and the rule wants color: true")
    assert reasons["fine.png"][0] == "done"


def test_own_outputs_are_never_taken(box: Box, small: Pixels) -> None:
    box.rules("output: in/done/{stem}-mosaic.{ext}")
    box.drop("in/cat.png", small)
    box.once()
    box.once()
    assert box.files("in") == ["cat.png", "done/cat-mosaic.png"] and len(box.jobs()) == 1
    box.drop("in/done/cat-mosaic.png", small[:, ::-1].copy(), age=5)  # the user's own picture, in its place
    box.once()
    assert len(box.jobs()) == 2


def test_leftover_temporary_files_are_cleared(box: Box, small: Pixels) -> None:
    box.drop("out/sub/.darkroom-0000-1.tmp", b"half")
    box.drop("in/cat.png", small)
    box.once()
    assert box.files() == ["cat.png"]


def test_mixed_shapes_in_one_backlog(box: Box, photograph: Pixels) -> None:
    sizes = [(64, 64), (1, 1), (17, 33), (3, 200), (64, 64), (512, 512)]
    for index, (height, width) in enumerate(sizes):
        box.drop(f"in/{index}.png", np.ascontiguousarray(photograph[:height, :width]))
    box.once()
    for index, (height, width) in enumerate(sizes):
        assert box.picture(f"out/{index}.png").shape == (height, width, 3)
    assert np.array_equal(box.picture("out/5.png"), mosaic_reference(photograph))


def test_names_that_are_hard(box: Box, small: Pixels) -> None:
    names = ["a b.png", "käse 写真.png", "quote'\".png", "-rf.png", "{dir}.png", "line\nbreak.png", "...png"]
    for name in names:
        box.drop(f"in/{name}", small)
    (box.folder / "in" / os.fsdecode(b"\xff\xfe.png")).write_bytes(encoded(small, ".png"))
    box.once(check=None)
    done = {name for name, state in box.states().items() if state == "done"}
    assert done >= set(names) - {"...png"}
    assert os.fsdecode(b"\xff\xfe.png") in os.listdir(box.folder / "out")
    box.darkroom("jobs")
    outside = [path for path in box.folder.iterdir() if path.suffix == ".png"]
    assert outside == []


def test_daemon_takes_what_is_dropped_and_ctrl_c_ends_it(box: Box, small: Pixels) -> None:
    daemon = box.start()
    for number in range(50):
        box.drop(f"in/{number}.jpg", small, age=0)
    wait_until(lambda: len(box.files()) == 50)
    assert json.loads(box.darkroom("status", "--json").stdout)["running"]
    begun = time.monotonic()
    assert daemon.stop(signal.SIGINT) == 0
    assert time.monotonic() - begun < 3
    box.once()
    assert len(box.jobs()) == 50


def test_folder_moved_in_and_filled_later(box: Box, small: Pixels) -> None:
    box.start()
    box.drop("elsewhere/one.png", small, age=0)
    (box.folder / "elsewhere").rename(box.folder / "in" / "moved")
    wait_until(lambda: box.files() == ["moved/one.png"])
    box.drop("in/moved/two.png", small, age=0)
    wait_until(lambda: len(box.files()) == 2)
    for number in range(20):  # made and written in one breath: the race that loses events
        box.drop(f"in/new{number}/x.png", small, age=0)
    wait_until(lambda: len(box.files()) == 22)


def test_file_held_open_is_not_taken_half(box: Box, small: Pixels) -> None:
    daemon = box.start()
    whole = encoded(small, ".png")
    with (box.folder / "in/slow.png").open("wb") as file:
        file.write(whole[:1000])
        file.flush()
        wait_until(lambda: any("open for writing" in job["reason"] for job in box.jobs()), what="a held job")
        file.write(whole[1000:])
    wait_until(lambda: box.files() == ["slow.png"])
    assert not daemon.said("failed")


def test_watched_folder_lost_and_back(box: Box, small: Pixels) -> None:
    daemon = box.start()
    (box.folder / "in").rename(box.folder / "gone")
    wait_until(lambda: daemon.said("not there"))
    (box.folder / "in").mkdir()
    box.drop("in/cat.png", small, age=0)
    wait_until(lambda: box.files() == ["cat.png"])


def test_second_daemon_is_refused_in_one_line(box: Box) -> None:
    daemon = box.start()
    refused = box.darkroom("run", check=1)
    assert refused.stderr.count("\n") == 1 and f"process {daemon.process.pid}" in refused.stderr


def test_two_daemons_side_by_side_on_one_inbox(box: Box, small: Pixels, tmp_path: Path) -> None:
    box.start()
    text = (box.folder / "config.yaml").read_text()
    (box.folder / "second.yaml").write_text(text.replace("version: 1", "version: 1\nstate_dir: var2"))
    (box.folder / "var2").mkdir()
    (box.folder / "var2/graphs").symlink_to(box.folder / "var/graphs")
    second = box.start("-c", "second.yaml")
    for number in range(20):
        box.drop(f"in/{number}.png", small, age=0)
    wait_until(lambda: len(box.files()) == 20 and not any(name.startswith(".") for name in box.files()))
    assert second.stop(signal.SIGINT) == 0


def test_no_torch_in_the_daemon(box: Box, small: Pixels) -> None:
    daemon = box.start()
    box.drop("in/cat.png", small, age=0)
    wait_until(lambda: box.files() == ["cat.png"])
    assert "libtorch" not in Path(f"/proc/{daemon.process.pid}/maps").read_text()
