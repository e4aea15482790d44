"""Names, renames, receipts and the lock: what stands between a result and its place."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.errors import BlockedError, DarkroomError, OutputRefused
from daemon.intake.match import ignored
from daemon.intake.scan import fingerprint_of
from daemon.life.lock import DaemonLock, alive
from daemon.model import Fingerprint, Job, State
from daemon.publishing import outputs
from daemon.publishing.naming import fields_of
from daemon.publishing.outputs import (
    check_writable,
    leftovers,
    put_in_place,
    temporary_for,
    write_temporary,
    write_whole,
)
from tests.box import ENVIRONMENT, Box, Pixels, encoded


def job(relative: str) -> Job:
    return Job(7, "r", "/in", relative, Fingerprint(1, 2, 3), State.RUNNING, "taken")


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relative", "folder", "stem", "extension"),
    [
        ("a.png", "", "a", "png"),
        ("x/y/a.b.PNG", "x/y", "a.b", "PNG"),
        ("x.y/none", "x.y", "none", ""),
        ("...png", "", "...png", ""),
    ],
)
def test_fields(relative: str, folder: str, stem: str, extension: str) -> None:
    fields = fields_of(job(relative), 30, 20)
    assert (fields["dir"], fields["stem"], fields["ext"]) == (folder, stem, extension)
    assert (fields["name"], fields["width"], fields["height"]) == (os.path.basename(relative), 30, 20)


def test_rename_beside_a_dot_in_the_folder(box: Box, small: Pixels) -> None:
    """A name without an ending: the number belongs to the name and not to some folder above it."""
    box.rules("match: ['*']\noutput: out.d/{name}\non_conflict: rename\nsource: {move: {to: 'was.d/{name}'}}")
    box.drop("made.png", small)
    for folder in ("in", "out.d", "was.d"):
        (box.folder / folder).mkdir()
        (box.folder / folder / "photo").write_bytes((box.folder / "made.png").read_bytes())
    box.once()
    assert box.files("out.d") == ["photo", "photo-1"] and box.files("was.d") == ["photo", "photo-1"]
    assert box.files("in") == []


# -- temporary files and renames -------------------------------------------------------------------------------------


def test_temporary_lies_beside_its_target_and_is_never_taken(tmp_path: Path) -> None:
    target = f"{tmp_path}/new/deep/a.png"
    temporary, fingerprint = write_temporary(target, 7, b"content")
    assert os.path.dirname(temporary) == os.path.dirname(target) and ignored(os.path.basename(temporary))
    assert Path(temporary).read_bytes() == b"content" and fingerprint == fingerprint_of(Path(temporary).stat())
    put_in_place(temporary, target, exclusive=True)
    assert fingerprint_of(Path(target).stat()) == fingerprint and os.listdir(os.path.dirname(target)) == ["a.png"]


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "_write_all", half)
    with pytest.raises(BlockedError, match=r"a\.png.*No space"):
        write_temporary(f"{tmp_path}/a.png", 7, b"content")
    assert os.listdir(tmp_path) == []


def test_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputRefused):
        write_temporary(f"{tmp_path}/{'x' * 256}/a.png", 7, b"content")


@pytest.mark.parametrize("links", [True, False])
def test_exclusive_never_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:

        def link(*given: object) -> None:
            raise OSError(1, "Operation not permitted")  # as vfat and some shares say

        monkeypatch.setattr(outputs.os, "link", link)  # type: ignore[attr-defined]
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_bytes(b"new")
    old.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        put_in_place(str(new), str(old), exclusive=True)
    assert old.read_bytes() == b"old" and new.exists()
    old.unlink()
    put_in_place(str(new), str(old), exclusive=True)
    assert old.read_bytes() == b"new" and not new.exists()
    new.write_bytes(b"newer")
    put_in_place(str(new), str(old), exclusive=False)
    assert old.read_bytes() == b"newer"


def test_exclusive_among_threads_has_one_winner(tmp_path: Path) -> None:
    target, won = str(tmp_path / "target"), list[int]()
    begin = threading.Barrier(8)

    def race(number: int) -> None:
        temporary, _ = write_temporary(target, number, str(number).encode())
        begin.wait()
        try:
            put_in_place(temporary, target, exclusive=True)
            won.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(won) == 1 and Path(target).read_text() == str(won[0])


def test_leftovers_are_those_of_other_runs(tmp_path: Path) -> None:
    mine, _ = write_temporary(f"{tmp_path}/a.png", 7, b"x")
    other = tmp_path / "deep/.darkroom-0000-1.tmp"
    other.parent.mkdir()
    other.touch()
    (tmp_path / ".hidden").touch()
    assert list(leftovers(str(tmp_path))) == [str(other)] and mine == temporary_for(f"{tmp_path}/b.png", 7)
    assert list(leftovers(str(tmp_path / "gone"))) == []


def test_file_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    assert write_whole(str(path), 7, "néw".encode()) == fingerprint_of(path.stat())
    assert path.read_text() == "néw" and os.listdir(tmp_path) == ["a.txt"]


def test_folder_is_made_and_proven(tmp_path: Path) -> None:
    check_writable(str(tmp_path / "a/b"))
    assert os.listdir(tmp_path / "a/b") == []
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        with pytest.raises(BlockedError, match="a file stands where a folder must be"):
            check_writable(str(tmp_path / folder))


# -- receipts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["out/{width}x{height}/{stem}.{ext}", "out/{ext}/{dir}/{name}"])
def test_receipt_goes_away_wherever_it_lies(box: Box, small: Pixels, output: str) -> None:
    box.rules(f"output: '{output}'")
    box.drop("in/a/cat.png", b"broken")
    box.once(check=1)
    assert [name for name in box.files() if name.endswith("cat.png.error.txt")]
    box.drop("in/a/cat.png", small, age=30)
    box.once()
    assert [name for name in box.files() if "error" in name] == [] and len(box.files()) == 1


def test_the_commands_of_a_receipt_work_from_anywhere(box: Box, small: Pixels, tmp_path: Path) -> None:
    box.folder.rename(strange := box.folder.with_name("it's mine"))
    box.folder = strange
    source = box.drop("in/cat.png", b"broken")
    box.once(check=1)
    words = re.findall(r"`darkroom (.*?)`", (box.folder / "out/cat.png.error.txt").read_text())
    source.write_bytes(encoded(small, ".png"))
    found = [shlex.split(each) for each in words]
    assert [each[0] for each in found] == ["retry", "why"]
    for each in found:
        subprocess.run(box.command(*each), cwd="/", env=box.environment, check=True, capture_output=True)


def test_foreign_file_in_the_place_of_a_receipt_is_let_be(box: Box) -> None:
    box.drop("out/cat.png.error.txt", b"my notes")
    box.drop("in/cat.png", b"broken")
    done = box.once(check=1)
    assert (box.folder / "out/cat.png.error.txt").read_bytes() == b"my notes" and "not darkroom's" in done.stdout


def test_receipt_that_the_user_wrote_into_is_kept(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", b"broken")
    box.once(check=1)
    receipt = box.folder / "out/cat.png.error.txt"
    receipt.write_text("asked Anna for a new scan")
    box.drop("in/cat.png", small, age=30)
    box.once()
    assert receipt.read_text() == "asked Anna for a new scan" and (box.folder / "out/cat.png").exists()


def test_receipts_of_two_pictures_with_one_stem(box: Box, small: Pixels) -> None:
    box.rules("output: out/{stem}.png")
    box.drop("in/cat.png", b"broken")
    box.drop("in/cat.bmp", b"broken")
    box.once(check=1)
    assert box.files() == ["cat.bmp.error.txt", "cat.png.error.txt"]
    box.drop("in/cat.png", small, age=30)
    box.once()
    assert box.files() == ["cat.bmp.error.txt", "cat.png"]


def test_name_with_no_room_for_a_receipt(box: Box, small: Pixels) -> None:
    name = "x" * 250 + ".png"
    box.drop(f"in/{name}", b"broken")
    box.drop("in/fine.png", small)
    done = box.once(check=1)
    assert box.states() == {name: "failed", "fine.png": "done"} and box.files() == ["fine.png"]
    assert "name too long" in done.stdout


# -- the lock ---------------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from daemon.life.lock import DaemonLock
lock = DaemonLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    child = subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_lock_is_of_one_process_and_dies_with_it(tmp_path: Path) -> None:
    assert not alive(tmp_path)
    with holder(tmp_path) as child:
        assert alive(tmp_path)
        with pytest.raises(DarkroomError, match=f"process {child.pid}"):
            DaemonLock(tmp_path)
        child.kill()
        child.wait()
        assert not alive(tmp_path)
        DaemonLock(tmp_path).release()


def test_looking_at_the_lock_never_refuses_it(tmp_path: Path) -> None:
    """`darkroom status` in a loop must not keep a daemon from starting."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            alive(tmp_path)

    threads = [threading.Thread(target=look) for _ in range(2)]
    DaemonLock(tmp_path).release()
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            DaemonLock(tmp_path).release()
    finally:
        over.set()
        for thread in threads:
            thread.join(5)
