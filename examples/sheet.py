"""Pictures side by side, for the documentation."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

GAP = 6
"""Pixels between two pictures of a row."""


def row(path: Path, *pictures: Image.Image) -> None:
    """Side by side, as a JPEG file."""
    width = sum(picture.width + GAP for picture in pictures) - GAP
    sheet, left = Image.new("RGB", (width, pictures[0].height), "white"), 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    sheet.save(path, quality=88)
    print(path, sheet.size, flush=True)
