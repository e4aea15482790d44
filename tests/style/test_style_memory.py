"""What a plan promises comes true, in a worker's process: for its first job and for those after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.box import ENVIRONMENT

WORKER = """
import json, sys, threading
from pathlib import Path
import torch
from daemon.allocator import give_pages_back, keep_pages
from daemon.tasks import running
from daemon.tasks.folder import TaskFolder
from daemon.tasks.messages import Run
from kernels.chain import parse_chain
from tests.style.runs import PAIRS, pair
from PIL import Image
import numpy as np

torch.set_num_threads(2)
keep_pages()
for number, (height, width, style, memory, parameters) in enumerate(json.loads(sys.argv[2])):
    place = Path(sys.argv[1]) / str(number)
    folder = TaskFolder(place)
    content = Image.fromarray(pair(PAIRS[1], 64, 64)["content"].numpy())
    painting = Image.fromarray(pair(PAIRS[1], 512, 512)["style"].numpy())
    folder.write_input("content", np.array(content.resize((width, height))))
    folder.write_input("style", np.array(painting.resize((style, style))))
    del content, painting
    give_pages_back()
    running.free_for = lambda device: memory << 20
    (step,) = parse_chain({"style_transfer": parameters})
    order = Run(str(place), step.name, dict(step.parameters), ("content", "style"), "", 0, 1e9, None)
    told = running.Running(order, torch.device("cpu"), lambda report: None, threading.Event()).run()
    give_pages_back()
    print(json.dumps(told.record))
"""


def records(folder: Path, *jobs: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Run jobs one after another: height, width, side of the style, MiB to plan with, parameters."""
    command = [sys.executable, "-c", WORKER, str(folder), json.dumps(jobs)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


QUICK = {"iterations": 2}
JOBS = (
    (512, 512, 512, 8000, {"iterations": 4}),
    (640, 640, 512, 400, {**QUICK, "optimizer": "adam"}),
    (256, 256, 4000, 8000, QUICK),
    (2400, 4000, 512, 8000, {**QUICK, "size": 384}),
    (300, 300, 2000, 8000, {**QUICK, "style_scale": 4}),
)


def test_the_estimate_is_what_it_takes(tmp_path: Path) -> None:
    """Whole and in tiles, the first job and later ones, a style and a content of megapixels.

    Never more than a quarter above it. On a machine with nothing else to do it is not a quarter below it either
    (docs/performance.md); beside other tests the heap has been seen to take 0.62 of it.
    """
    told = [(record["memory_peak"], record["memory_estimate"]) for record in records(tmp_path, *JOBS)]
    assert all(0.5 <= peak / estimate <= 1.25 for peak, estimate in told), told
    assert told[1][1] <= 400
