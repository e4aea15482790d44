"""The child that exports one chain: `python -m export.build GRAPH PARENT < CHAIN`.

A child, because the daemon must not load torch (law 1), and so that an export can be stopped or crash by itself.
Gives on standard output, as JSON, what PyTorch makes of a small picture, against which every device is held later.
When it fails it says on standard error in one line what went wrong, and on standard output the errno if there was one.
Ends when the process PARENT does: a builder that is killed leaves nobody at work.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import torch

from export.golden import FLAT, SHAPE, TALL, Golden, none_made, pack, pattern
from export.graph import EXAMPLES, ChainModule, export_onnx, output_names
from export.parity import QUICK, measure, most_pixels
from kernels.chain import Chain, describe, parse_chain

FEW_PIXELS, MOST_PIXELS = 1 << 20, 1 << 22
"""Of the golden picture between two steps. Above the first a smaller one is looked for, above the second none is made:
a start would take half a second longer for each rule."""
TOO_LARGE = "whatever it is given, it makes a picture of more than 4 megapixels"


def build(chain: Chain, path: Path) -> None:
    """Export the chain to `path`; what is there afterwards has agreed with PyTorch over many sizes.

    Raises RuntimeError if no traced example gives such a graph, and OSError if it cannot be written.
    """
    fault = ""
    for example in EXAMPLES:
        fault = _attempt(chain, path, example)
        if not fault:
            return
    path.unlink(missing_ok=True)
    raise RuntimeError(f"{describe(chain)} cannot be exported: {fault}")


def _attempt(chain: Chain, path: Path, example: tuple[int, int]) -> str:
    """Export with one traced example; gives what is wrong with the graph, or nothing."""
    try:
        export_onnx(chain, path, example)
        report = measure(chain, path, QUICK)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  torch, onnx and ONNX Runtime raise what they like; it becomes a reason
        return one_line(error)
    return "" if report.passed else f"its graph does not compute what PyTorch does: {report.summary}"


def golden(chain: Chain) -> Golden | None:
    """A small batch and what PyTorch makes of it; None where the chain makes a huge one of whatever it is given.

    Every start runs it, so what it costs counts.
    """
    sizes = {shape: most_pixels(chain, shape) for shape in (SHAPE, FLAT, TALL)}
    shape = SHAPE if sizes[SHAPE] <= FEW_PIXELS else min(sizes, key=sizes.__getitem__)
    if sizes[shape] > MOST_PIXELS:
        return None
    batch = pattern(shape)
    with torch.no_grad():
        values = ChainModule(chain).eval()(torch.from_numpy(batch))
    return Golden(batch, {name: value.numpy() for name, value in zip(output_names(chain), values, strict=True)})


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> int:
    """Build what standard input asks for. 0, or 1 with the reason."""
    # Nothing to join: the watch lasts exactly as long as this process.
    threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    try:
        chain = parse_chain(json.load(sys.stdin))
        build(chain, Path(sys.argv[1]))
        picture = golden(chain)
        print(json.dumps({"golden": pack(picture) if picture else none_made(TOO_LARGE)}))
    except Exception as error:  # noqa: BLE001  the one place where an error of the child becomes its last line
        print(json.dumps({"errno": error.errno if isinstance(error, OSError) else None}))
        print(one_line(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
