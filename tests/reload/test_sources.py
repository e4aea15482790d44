"""Rules that delete their sources, edited: no source goes that a rule in force does not let go."""

from __future__ import annotations

from tests.box import MOSAIC, Box, Pixels, slow_encoding, wait_until
from tests.reload.test_reload import configure, rule, until

DELETES, KEEPS = "source: delete", "source: keep"


def test_a_rule_of_a_former_name_deletes_nothing_of_old(box: Box, small: Pixels) -> None:
    """The source waited for a second rule, which could not write; then its own rule went, and its name came back."""
    first = rule("a", "in", MOSAIC, DELETES, "output: out/a/{name}")
    second = rule("b", "in", MOSAIC, "output: blocked/{name}")
    box.drop("blocked", b"a file where the folder should be")
    source = box.drop("in/1.png", small)
    configure(box, first, second)
    daemon = box.start()
    wait_until((box.folder / "out/a/1.png").exists)
    configure(box, second)
    wait_until(lambda: daemon.said("rule a removed"))
    (box.folder / "blocked").unlink()
    wait_until((box.folder / "blocked/1.png").exists)
    configure(box, rule("a", "elsewhere", MOSAIC, DELETES, "output: out/a/{name}"), second)
    wait_until(lambda: daemon.said("rule a added"))
    box.drop("elsewhere/2.png", small)
    wait_until(lambda: not (box.folder / "elsewhere/2.png").exists(), what="the new rule's own source to go")
    assert source.exists()


def test_a_rule_that_keeps_by_now_deletes_nothing(box: Box, small: Pixels) -> None:
    configure(box, rule("a", "in", MOSAIC, DELETES))
    daemon = box.start(before=slow_encoding(3))
    source = box.drop("in/1.png", small)
    wait_until(lambda: box.states() == {"1.png": "running"})
    configure(box, rule("a", "in", MOSAIC, KEEPS))
    wait_until(lambda: daemon.said("rule a changed: source"))
    until(box, "1.png", "done")
    configure(box, rule("a", "in", MOSAIC, DELETES))
    wait_until(lambda: daemon.lines.count("config.yaml: rule a changed: source") == 2)
    box.drop("in/2.png", small[::-1].copy())
    wait_until(lambda: not (box.folder / "in/2.png").exists(), what="a later source to go")
    assert source.exists()
