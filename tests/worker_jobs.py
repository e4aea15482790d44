"""Tasks run one after another as a worker runs them, in a process of its own; what each says of the memory it took."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.box import ENVIRONMENT

WORKER = """
import json, sys, threading
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from daemon.life.allocator import give_pages_back, keep_pages
from daemon.tasks import running
from daemon.tasks.folder import TaskFolder
from daemon.tasks.messages import Run
from kernels.chain import parse_chain
from tests.style.runs import pair

torch.set_num_threads(2)
keep_pages()
for number, job in enumerate(json.loads(sys.argv[2])):
    place = Path(sys.argv[1]) / str(number)
    folder = TaskFolder(place)
    content, style = (Image.fromarray(each.numpy()) for each in pair(("chelsea", "night"), 512, 512).values())
    for role, (height, width) in job["inputs"].items():
        source = style if role == "style" else content
        folder.write_input(role, np.array(source.resize((width, height))))
    del content, style, source
    give_pages_back()
    running.free_for = lambda device: job["memory"] << 20
    (step,) = parse_chain({job["step"]: job["parameters"]})
    order = Run(str(place), step.name, dict(step.parameters), tuple(job["inputs"]), "", 0, 1e9, None)
    told = running.Running(order, torch.device("cpu"), lambda report: None, threading.Event()).run()
    give_pages_back()
    print(json.dumps(told.record))
"""


@dataclass(frozen=True)
class Job:
    """A step with its parameters, MiB to plan with, and the height and width of each input."""

    step: str
    parameters: Mapping[str, Any]
    memory: int
    inputs: Mapping[str, tuple[int, int]]


def records(folder: Path, *jobs: Job) -> list[dict[str, Any]]:
    """Run jobs one after another; their records."""
    told = json.dumps([asdict(job) for job in jobs])
    command = [sys.executable, "-c", WORKER, str(folder), told]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
