"""`state_dir` edited while the daemon runs: it keeps the old one, and whoever asks still finds it."""

from __future__ import annotations

from pathlib import Path

from tests.box import COMPARED, MOSAIC, Box, Pixels, wait_until
from tests.reload.test_reload import configure, rule, said, status, until

MOVED = "settle: 100ms\nstate_dir: elsewhere"


def test_whoever_asks_finds_the_daemon(box: Box, small: Pixels) -> None:
    configure(box, rule())
    box.drop("in/1.png", small)
    daemon = box.start()
    until(box, "1.png", "done")
    configure(box, rule(steps=COMPARED), head=MOVED)
    said(daemon, f"move what is in {box.folder}/var to {box.folder}/elsewhere, and start it")
    note = box.folder / ".config.yaml.state_dir"
    assert status(box)["pid"] == daemon.process.pid and status(box)["config"]["at_next_start"] == ["state_dir"]
    assert "in force after the next start of darkroom: state_dir" in box.darkroom("reload").stdout
    asked = box.darkroom("redo", "1")
    assert f"until it is started again, the daemon works with {box.folder}/var" in asked.stderr
    wait_until((box.folder / "out/1.png.json").exists)
    assert len(box.darkroom("jobs").stdout.splitlines()) == 2
    refused = box.darkroom("run", "--once", check=1).stderr
    assert f"another darkroom (process {daemon.process.pid}) works by it" in refused and refused.count("\n") == 1
    configure(box, rule(steps=COMPARED))
    wait_until(lambda: not note.exists())
    configure(box, rule(steps=COMPARED), head=MOVED)
    wait_until(note.exists)
    daemon.stop()
    assert not note.exists()
    assert box.darkroom("status", check=3).stdout.startswith("no daemon runs here")


def test_whoever_asks_by_another_name_finds_the_daemon(box: Box) -> None:
    """And starts no second one: all that lies in the folders would be done twice."""
    configure(box, rule())
    daemon = box.start()
    configure(box, rule(), head=MOVED)
    wait_until((box.folder / ".config.yaml.state_dir").exists)
    (box.folder / "link").symlink_to(box.folder)
    assert box.darkroom("status", "-c", "link/config.yaml").stdout.startswith("running")
    refused = box.darkroom("run", "--once", "-c", "link/config.yaml", check=1).stderr
    assert f"another darkroom (process {daemon.process.pid}) works by it" in refused


def test_a_note_that_is_not_true(box: Box) -> None:
    """Of a daemon that was killed, and one that names the place of another daemon."""
    configure(box, rule())
    box.start()
    (box.folder / "other").mkdir()
    other = Box(box.folder / "other", box.folder / "var/graphs")
    other.write_config(f"version: 1\nrules:\n{rule('mosaic', 'in', MOSAIC)}")
    for place in (box.folder / "var", box.folder / "nowhere"):
        Path(other.folder / ".config.yaml.state_dir").write_text(str(place))
        assert other.darkroom("status", check=3).stdout.startswith("no daemon runs here")
    assert other.once().stderr == "" and not (other.folder / ".config.yaml.state_dir").exists()
