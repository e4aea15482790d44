"""The pictures in docs/deep-image-prior.md, made by the step itself; half an hour on two cores.

python -m examples.show_prior docs/images              # or only some: docs/images noise25 text
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.damages import DAMAGES, Damaged, photograph
from benchmarks.measured import steps_of, timed
from examples.sheet import row

SHOWN = {"noise25": "chelsea", "jpeg10": "coffee", "small4": "astronaut", "missing50": "rocket", "text": "astronaut"}
"""What is shown of which photograph."""
SIDE = 256
MEMORY = 4 << 30


def restored(damaged: Damaged) -> Image.Image:
    """The step, from start to end."""
    inputs = {role: torch.from_numpy(picture) for role, picture in damaged.inputs.items()}
    result = timed(steps_of("deep_image_prior", inputs, damaged.parameters, memory=MEMORY)).result
    assert result is not None
    print(*result.told, sep=", ", flush=True)
    return Image.fromarray(result.picture.numpy())


def main(folder: Path, names: Sequence[str]) -> None:
    """Before, after, and what it was; of all of them if none is named."""
    for name in names or SHOWN:
        whole = photograph(SHOWN[name], SIDE)
        damaged = DAMAGES[name](whole, 0)
        given = Image.fromarray(damaged.inputs["picture"]).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        after = restored(damaged)
        print(f"{name}: {damaged.psnr(np.array(given), whole):.2f} → {damaged.psnr(np.array(after), whole):.2f} dB")
        row(folder / f"prior-{name}.jpg", given, after, Image.fromarray(whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
