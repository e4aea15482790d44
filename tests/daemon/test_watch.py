"""Events as hints: real inotify, and what happens when it fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import Inotify

from daemon.intake import hints
from daemon.intake.hints import Hints
from daemon.intake.watch import Watcher
from tests.box import ENVIRONMENT, wait_until


class Seen:
    """A watcher on `root`, and everything its hints have said so far."""

    def __init__(self, root: Path, *, recursive: bool = True) -> None:
        self.root = root
        self.complaints = list[str]()
        self.files = dict[str, bool]()
        self.dirty = set[str]()
        self.hints = Hints(lambda: None)
        self.watcher = Watcher([(str(root), recursive)], self.hints, self.complaints.append)

    def look(self) -> Seen:
        files, dirty = self.hints.drain()
        self.files |= {name: self.files.get(name, False) or closed for (_, name), closed in files.items()}
        self.dirty |= dirty
        return self

    def forget(self) -> None:
        self.look()
        self.files, self.dirty = {}, set()

    def wait(self, condition: Callable[[], object]) -> None:
        wait_until(lambda: bool(self.look()) and condition(), 10, f"{self.files} {self.dirty}")


@contextmanager
def watching(root: Path, *, recursive: bool = True) -> Iterator[Seen]:
    root.mkdir(exist_ok=True)
    seen = Seen(root, recursive=recursive)
    seen.watcher.arm()
    seen.look()
    assert seen.dirty == {str(root)}, "newly armed: what came before the events must be scanned"
    seen.forget()
    try:
        yield seen
    finally:
        seen.watcher.close()


def test_written_and_closed(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        with (seen.root / "a.png").open("wb") as file:
            file.write(b"x")
            file.flush()
            seen.wait(lambda: "a.png" in seen.files)
            assert seen.files["a.png"] is False
        seen.wait(lambda: seen.files["a.png"])


def test_moved_into_place(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        (seen.root / "a.part").write_bytes(b"x")
        (seen.root / "a.part").rename(seen.root / "a.png")
        seen.wait(lambda: seen.files.get("a.png"))
        assert "a.part" not in seen.files


def test_moved_in_from_outside(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        (tmp_path / "b.png").write_bytes(b"x")
        (tmp_path / "b.png").rename(seen.root / "b.png")
        os.link(seen.root / "b.png", seen.root / "c.png")
        seen.wait(lambda: {"b.png", "c.png"} <= set(seen.files))


def test_ignored_names_give_no_hint(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        for name in [".hidden.png", "a.tmp", ".darkroom-1-2.tmp", "last.png"]:
            (seen.root / name).touch()
        seen.wait(lambda: "last.png" in seen.files)
        assert set(seen.files) == {"last.png"}


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    with watching(tmp_path / "in") as seen:
        (seen.root / name).touch()
        seen.wait(lambda: name in seen.files)


@pytest.mark.parametrize("way", ["made", "moved in", "renamed", "removed"])
def test_every_doubt_about_a_folder_asks_for_a_scan(tmp_path: Path, way: str) -> None:
    (tmp_path / "in/old").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    with watching(tmp_path / "in") as seen:
        if way == "made":
            (seen.root / "new").mkdir()
        elif way == "moved in":
            (tmp_path / "outside").rename(seen.root / "new")
        elif way == "renamed":
            (seen.root / "old").rename(seen.root / "new")
        else:
            (seen.root / "old").rmdir()
        seen.wait(lambda: seen.dirty == {str(seen.root)})
        assert bool(seen.hints.drain_grown()) == (way != "removed")


def test_folder_moved_in_is_watched_after_a_renewal(tmp_path: Path) -> None:
    (tmp_path / "outside/deep").mkdir(parents=True)
    with watching(tmp_path / "in") as seen:
        (tmp_path / "outside").rename(seen.root / "new")
        seen.wait(lambda: seen.dirty)
        seen.watcher.renew(seen.hints.drain_grown())
        seen.forget()
        (seen.root / "new/deep/a.png").touch()
        seen.wait(lambda: "new/deep/a.png" in seen.files)


def test_flat_folder_gives_no_hints_from_below(tmp_path: Path) -> None:
    (tmp_path / "in/below").mkdir(parents=True)
    with watching(tmp_path / "in", recursive=False) as seen:
        (seen.root / "below/a.png").touch()
        (seen.root / "b.png").touch()
        seen.wait(lambda: "b.png" in seen.files)
        assert set(seen.files) == {"b.png"}


def test_flood_asks_for_a_scan_and_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "flood_threshold", lambda: 20)
    with watching(tmp_path / "in") as seen:
        for number in range(100):
            (seen.root / f"{number}.png").touch()
        wait_until(lambda: seen.hints._dirty, 10, "a scan asked for")
        files, dirty = seen.hints.drain()
        assert dirty == {str(seen.root)} and len(files) == 20


def test_flood_threshold_follows_the_kernel() -> None:
    longest = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    assert 16 <= hints.flood_threshold() <= max(16, longest // 2)


# -- what can fail ---------------------------------------------------------------------------------------------------


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_watch_limit_degrades_to_scanning_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Inotify, path: bytes, mask: int) -> int:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    (tmp_path / "in").mkdir()
    seen = Seen(tmp_path / "in")
    with monkeypatch.context() as patch:
        patch.setattr(Inotify, "_add_watch", refuse)
        seen.watcher.arm()
        before = open_files()
        for _ in range(5):
            seen.watcher.arm()
        assert open_files() == before, "each try leaves something open"
    seen.look()
    assert seen.watcher.unwatched() == {str(seen.root)} == seen.dirty
    assert len(seen.complaints) == 1 and "sysctl fs.inotify.max_user_watches=" in seen.complaints[0]
    try:
        seen.watcher.arm()
        assert seen.watcher.unwatched() == set() and "watched again" in seen.complaints[1]
    finally:
        seen.watcher.close()


LIMITED = """
import os, sys
from pathlib import Path
from daemon.intake.hints import Hints
from daemon.intake.watch import Watcher
Path("/proc/sys/user/max_inotify_watches").write_text("2")
said = []
watcher = Watcher([(sys.argv[1], True)], Hints(lambda: None), said.append)
watcher.arm()
before = len(os.listdir("/proc/self/fd"))
for _ in range(5):
    watcher.arm()
assert len(os.listdir("/proc/self/fd")) == before
assert watcher.unwatched() == {sys.argv[1]}
print(*said, sep="\\n")
"""


def test_real_watch_limit(tmp_path: Path) -> None:
    """The kernel's own refusal, in a user namespace of its own so that nobody else runs into the limit."""
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    command = ["unshare", "--user", "--map-root-user"]
    try:
        subprocess.run([*command, "test", "-w", "/proc/sys/user/max_inotify_watches"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespaces here")
    words = [*command, sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and "sysctl" in done.stdout


def test_dead_emitter_is_replaced(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        observer, _ = seen.watcher._observers[str(seen.root)]
        for emitter in observer.emitters:
            emitter.stop()
            emitter.join(5)
        seen.watcher.arm()
        seen.wait(lambda: seen.dirty == {str(seen.root)})
        (seen.root / "a.png").touch()
        seen.wait(lambda: "a.png" in seen.files)


def test_root_replaced_by_another_of_the_same_name(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        seen.root.rename(tmp_path / "aside")
        seen.root.mkdir()
        (seen.root / "early.png").touch()
        seen.watcher.arm()
        seen.wait(lambda: seen.dirty == {str(seen.root)})
        (seen.root / "a.png").touch()
        seen.wait(lambda: "a.png" in seen.files)


def test_root_lost_is_told_once_and_comes_back(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        seen.root.rmdir()
        for _ in range(3):
            seen.watcher.arm()
        assert len(seen.complaints) == 1 and "not there" in seen.complaints[0]
        assert seen.watcher.missing() == {str(seen.root): "not there"} and seen.watcher.unwatched() == {str(seen.root)}
        seen.root.mkdir()
        seen.watcher.arm()
        assert not seen.watcher.missing() and "watched again" in seen.complaints[1]
        (seen.root / "a.png").touch()
        seen.wait(lambda: "a.png" in seen.files)


def test_root_that_cannot_be_found_for_another_reason_is_not_called_gone(tmp_path: Path) -> None:
    """Nor is the user told to make what may well be there."""
    with watching(tmp_path / "in") as seen:
        seen.root.rmdir()
        seen.root.symlink_to(seen.root)
        seen.watcher.arm()
        assert seen.watcher.missing() == {str(seen.root): os.strerror(errno.ELOOP)}
        assert "not there" not in seen.complaints[0] and "see to the disk" in seen.complaints[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("closed", ["in", "in/deep"])
def test_root_that_is_closed_is_told_and_looked_into_once_it_is_open(tmp_path: Path, closed: str) -> None:
    (tmp_path / "in").mkdir()
    with watching(tmp_path / "in/deep") as seen:
        (tmp_path / closed).chmod(0)
        try:
            seen.watcher.arm()
            assert len(seen.complaints) == 1 and seen.watcher.missing() == {str(seen.root): os.strerror(errno.EACCES)}
            assert seen.watcher.unwatched() == {str(seen.root)}
        finally:
            (tmp_path / closed).chmod(0o755)
        (seen.root / "a.png").touch()
        seen.forget()
        seen.watcher.arm()
        assert "watched again" in seen.complaints[1] and seen.look().dirty == {str(seen.root)}


def test_renewal_loses_nothing_and_leaves_nothing_open(tmp_path: Path) -> None:
    with watching(tmp_path / "in") as seen:
        before = open_files()
        for number in range(5):
            (seen.root / f"{number}-before.png").touch()
            seen.watcher.renew()
            (seen.root / f"{number}-after.png").touch()
        # An observer that ends within half a second takes the events with it that it still held back to pair moves:
        # those of the last one arrive, and the scan that every renewal asks for finds the rest.
        seen.wait(lambda: "4-after.png" in seen.files)
        assert seen.dirty == {str(seen.root)}, "what fell between two observers must be scanned for"
        wait_until(lambda: open_files() == before, 10, "the old observers closed")
    wait_until(lambda: open_files() < before, 10, "all closed")
