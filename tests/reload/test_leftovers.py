"""Temporary files of a run that was killed, in folders that no rule writes into any more."""

from __future__ import annotations

from tests.box import MOSAIC, Box, wait_until
from tests.reload.test_reload import configure, rule


def test_former_folders_are_cleared(box: Box) -> None:
    moves = "source: {move: {to: 'originals/{name}'}}"
    configure(
        box, rule("mosaic", "in", MOSAIC, "output: one/{name}"), rule("b", "in2", MOSAIC, "output: two/{name}", moves)
    )
    box.once()
    left = [box.drop(f"{folder}/sub/.darkroom-0-1.tmp", b"half") for folder in ("one", "two", "originals", "three")]
    stays = [box.drop("one/picture.png", b"x"), box.drop("never/.darkroom-0-1.tmp", b"x")]
    configure(box, rule("mosaic", "in", MOSAIC, "output: three/{name}"))
    box.start()
    wait_until(lambda: not any(path.exists() for path in left), what="the temporary files to go")
    assert all(path.exists() for path in stays)
