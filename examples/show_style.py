"""The pictures in docs/style-transfer.md, made by the step itself; a few minutes.

python -m examples.show_style docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image

from examples.sheet import row
from kernels.chain import parse_chain
from kernels.spec import operators

NIGHT = Path(__file__).parent / "night.jpg"
MEMORY = 4 << 30


def photograph(name: str, side: int) -> Image.Image:
    """One of scikit-image's, `side` pixels on its longer side."""
    picture = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def painted(content: Image.Image, style: Image.Image, **parameters: Any) -> Image.Image:
    """The step, from start to end."""
    (step,) = parse_chain({"style_transfer": parameters})
    inputs = {"content": content, "style": style}
    tensors = {role: torch.from_numpy(np.array(picture)) for role, picture in inputs.items()}
    steps = operators()["style_transfer"].function(tensors, {}, memory=MEMORY, **dict(step.parameters))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return Image.fromarray(end.value.picture.numpy())


def main(folder: Path) -> None:
    """All of them."""
    with Image.open(NIGHT) as file:
        night = file.convert("RGB")
    astronaut, coffee = photograph("astronaut", 256), photograph("coffee", 300)
    strengths = (painted(astronaut, night, strength=strength) for strength in (10, 100, 1000, 10_000))
    row(folder / "style-strength.jpg", astronaut, *strengths)
    colors = (painted(coffee, night, color=color) for color in ("style", "luminance", "match"))
    row(folder / "style-color.jpg", coffee, *colors)
    large = photograph("astronaut", 320)
    photo = painted(large, photograph("rocket", 400), preset="photo")
    row(folder / "style-presets.jpg", painted(large, night), photo, painted(large, night, preset="seed"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
