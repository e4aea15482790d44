"""`NAME.error.txt` of rules that were renamed, or write elsewhere by now."""

from __future__ import annotations

from tests.box import MOSAIC, Box, Pixels
from tests.reload.test_redo import number
from tests.reload.test_reload import configure, rule


def test_a_note_goes_wherever_it_was_left(box: Box, small: Pixels) -> None:
    """Only the newest place has one, and once the picture is done, none has; other pictures' notes stay."""
    configure(box, rule("mosaic", "in", MOSAIC, "output: out/{rule}/{name}"))
    box.drop("in/1.png", b"broken")
    box.drop("in/2.png", b"broken too")
    box.once(check=1)
    configure(box, rule("renamed", "in", MOSAIC, "output: out/{rule}/{name}"))
    box.once()
    assert box.files() == ["mosaic/1.png.error.txt", "mosaic/2.png.error.txt"]
    box.darkroom("retry", number(box, "1.png"))
    box.once(check=1)
    assert box.files() == ["mosaic/2.png.error.txt", "renamed/1.png.error.txt"]
    configure(box, rule("renamed", "in", MOSAIC, "output: out/new/{name}"))
    box.drop("in/1.png", small)
    box.once()
    assert box.files() == ["mosaic/2.png.error.txt", "new/1.png"]
