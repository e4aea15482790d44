"""What lies in a watched folder, whatever lies there."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.intake import scan as place
from daemon.intake.scan import CHUNK, being_written, events_arrive, file_system_of, look, scan


def found(root: Path, *, recursive: bool = True) -> tuple[list[str], list[str]]:
    """(files, complaints)."""
    complaints = list[str]()
    files = [s.relative for part in scan(str(root), recursive=recursive, complain=complaints.append) for s in part]
    return sorted(files), complaints


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_files_at_every_depth(tmp_path: Path) -> None:
    for name in ["a.png", "b/c.png", "b/d/e.png"]:
        touch(tmp_path / name)
    assert found(tmp_path) == (["a.png", "b/c.png", "b/d/e.png"], [])
    assert found(tmp_path, recursive=False) == (["a.png"], [])


def test_what_is_no_file_is_let_be(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "itself.png").symlink_to("itself.png")
    (tmp_path / "one.png").symlink_to("two.png")
    (tmp_path / "two.png").symlink_to("one.png")
    (tmp_path / "through.png").symlink_to("a.png/x.png")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.png"))
        assert found(tmp_path) == (["a.png"], [])
    assert look(str(tmp_path), "fifo.png") is None and look(str(tmp_path), "itself.png") is None


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "a/b.png")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("a")
    assert found(tmp_path) == (["a/b.png"], [])


def test_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    real = touch(tmp_path / "elsewhere/real.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.png").symlink_to(real)
    assert found(tmp_path / "in") == (["link.png"], [])
    sighting = look(str(tmp_path / "in"), "link.png")
    assert sighting is not None and sighting.fingerprint.inode == real.stat().st_ino


def test_ignored_folders_are_not_entered(tmp_path: Path) -> None:
    for name in [".git/a.png", "@eaDir/a.png", "x.part/a.png", "fine/.a.png"]:
        touch(tmp_path / name)
    assert found(tmp_path) == ([], [])


def test_huge_folder_comes_in_parts(tmp_path: Path) -> None:
    names = sorted(f"{number}.png" for number in range(3 * CHUNK + 1))
    for name in names:
        (tmp_path / name).touch()
    parts = list(scan(str(tmp_path), recursive=True, complain=print))
    assert max(map(len, parts)) == CHUNK and sorted(s.relative for part in parts for s in part) == names


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    touch(tmp_path / name)
    assert found(tmp_path) == ([name], [])


def test_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        found(tmp_path / "gone")
    with pytest.raises(NotADirectoryError):
        found(touch(tmp_path / "file"))


def refuse(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """Let the kernel refuse one folder; permission bits would not bind root."""
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path == str(folder):
            raise OSError(number, os.strerror(number), path)
        return real(path)

    monkeypatch.setattr(place.os, "scandir", scandir)  # type: ignore[attr-defined]


def test_subfolder_that_cannot_be_read_is_told_and_the_rest_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["a.png", "locked/b.png", "open/c.png"]:
        touch(tmp_path / name)
    refuse(monkeypatch, tmp_path / "locked", errno.EACCES)
    files, complaints = found(tmp_path)
    assert files == ["a.png", "open/c.png"] and len(complaints) == 1
    assert complaints[0].startswith(f"{tmp_path}/locked: Permission denied")


def test_subfolder_gone_since_it_was_listed_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "gone/a.png")
    refuse(monkeypatch, tmp_path / "gone", errno.ENOENT)
    assert found(tmp_path) == ([], [])


def test_root_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, tmp_path, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        found(tmp_path)


def test_file_open_for_writing_is_seen_as_such(tmp_path: Path) -> None:
    path = touch(tmp_path / "a.png")
    with path.open("rb") as reader:
        assert not being_written(reader.fileno())
        with path.open("ab"):
            assert being_written(reader.fileno())
        assert not being_written(reader.fileno())


def test_events_arrive_from_local_disks_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert events_arrive(str(tmp_path)) and file_system_of(str(tmp_path)) != ""
    assert file_system_of(str(tmp_path / "gone")) == ""
    monkeypatch.setattr(place, "file_system_of", lambda folder: "nfs4")
    assert not events_arrive(str(tmp_path))
