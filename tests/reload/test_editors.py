"""The ways in which programs save a file, and what Edits makes of each: in this process, without a daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.editing.edits import QUIET, Edits
from daemon.journal.journal import Level
from daemon.model import Config
from daemon.rulebook import Rulebook
from tests.reload.test_reload import rule

BOTH = f"version: 1\nrules:\n{rule()}{rule('second', 'two')}"


class Edited:
    """A config.yaml with a rule `mosaic`, and Edits that look at it; what is asked to be in force is so at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(f"version: 1\nrules:\n{rule()}")
        self.rulebook = Rulebook(load_config(path))
        self.told = list[str]()
        self.adopted = 0
        self.edits = Edits(self.rulebook, adopt=self._adopt, tell=self._tell)
        self.look()

    def _adopt(self, config: Config, adopted: Callable[[Mapping[str, str]], None]) -> None:
        self.adopted += 1
        self.rulebook.replace(config)
        adopted({})

    def _tell(self, text: str, level: Level = Level.INFO) -> None:
        self.told.append(text)

    def look(self, seconds: float = QUIET + 0.15) -> list[str]:
        """The rules in force after a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.edits.look()
            time.sleep(0.02)
        return list(self.rulebook.rules)


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    return Edited(tmp_path / "config.yaml")


def by_rename(path: Path, text: bytes) -> None:
    (draft := path.with_name("4913")).write_bytes(text)
    draft.replace(path)


def in_place(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def to_a_backup_and_anew(path: Path, text: bytes) -> None:
    path.rename(path.with_name("config.yaml~"))
    path.write_bytes(text)


def by_a_link(path: Path, text: bytes) -> None:
    """As Kubernetes mounts a ConfigMap: config.yaml → ..data/config.yaml, and ..data → a folder, exchanged whole."""
    new = path.with_name("..2026")
    new.mkdir()
    (new / path.name).write_bytes(text)
    (link := path.with_name("..data_tmp")).symlink_to(new.name)
    link.replace(path.with_name("..data"))
    (link := path.with_name("config.link")).symlink_to("..data/config.yaml")
    link.replace(path)


def from_the_past(path: Path, text: bytes) -> None:
    by_rename(path, text)
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize("save", [by_rename, in_place, to_a_backup_and_anew, by_a_link, from_the_past])
def test_saved(edited: Edited, save: Callable[[Path, bytes], None]) -> None:
    save(edited.path, BOTH.encode())
    assert edited.look() == ["mosaic", "second"] and edited.told == ["config.yaml: rule second added"]
    assert edited.look() == ["mosaic", "second"] and edited.adopted == 1, "read once, told once"


def test_a_link_that_is_pointed_elsewhere_again(edited: Edited) -> None:
    by_a_link(edited.path, BOTH.encode())
    assert edited.look() == ["mosaic", "second"]
    other = edited.path.with_name("..2027")
    other.mkdir()
    (other / edited.path.name).write_text(f"version: 1\nrules:\n{rule('second', 'two')}")
    (link := edited.path.with_name("..data_tmp")).symlink_to(other.name)
    link.replace(edited.path.with_name("..data"))
    assert edited.look() == ["second"]
    assert str(edited.rulebook.rules["second"].watch[0]) == str(edited.path.parent / "two"), "relative to the link"


@pytest.mark.parametrize(
    "text",
    [b"\xef\xbb\xbf" + BOTH.encode(), BOTH.replace("\n", "\r\n").encode()],
    ids=["a byte order mark", "CRLF"],
)
def test_forms_of_a_file(edited: Edited, text: bytes) -> None:
    edited.path.write_bytes(text)
    assert edited.look() == ["mosaic", "second"]


def test_a_huge_file_is_a_fault(edited: Edited) -> None:
    edited.path.write_bytes(BOTH.encode() + b"# " + b"x" * 5_000_000)
    assert edited.look() == ["mosaic"] and "it is larger than 1024 KiB" in edited.edits.faults[0]


def test_half_a_file_is_not_read(edited: Edited) -> None:
    with edited.path.open("w") as file:
        file.write("version: 1\nrules:\n" + rule("second", "two"))
        file.flush()
        assert edited.look(0.6) == ["mosaic"], "somebody has it open for writing"
        file.write(rule())
    assert edited.look() == ["second", "mosaic"]


def test_away_for_a_moment(edited: Edited) -> None:
    """Deleted, and back with the same content: no word of it. Deleted for good: a fault, and the rules stay."""
    text = edited.path.read_bytes()
    edited.path.unlink()
    edited.look(0.3)
    edited.path.write_bytes(text)
    assert edited.look() == ["mosaic"] and edited.told == [] and edited.adopted == 0
    edited.path.unlink()
    assert edited.look(2.6) == ["mosaic"] and "not in force" in edited.told[-1]
    edited.path.mkdir()
    assert edited.look() == ["mosaic"] and edited.edits.faults
    edited.path.rmdir()
    edited.path.write_bytes(text)
    assert edited.look() == ["mosaic"] and edited.told[-1].endswith("has no faults any more")
    assert not edited.path.with_name("config.error.txt").exists()
