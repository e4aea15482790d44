"""Does the exported graph compute what PyTorch computes? ONNX Runtime (CPU) against the operators themselves.

Needs torch, so the daemon does not import it: `python -m export.parity GRAPH < CHAIN` runs it as a child.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import torch

from export.graph import INPUT, OUTPUT, ChainModule, apply, output_names
from kernels.chain import Chain, describe, parse_chain
from kernels.picture import Picture
from kernels.spec import operators

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"
Case: TypeAlias = tuple[int, int, int]

# Batch, height, width. One pixel, one row, one column, odd sides, and both sides of the usual blocks.
QUICK: tuple[Case, ...] = ((1, 1, 1), (2, 1, 57), (1, 61, 1), (7, 2, 3), (2, 37, 53), (1, 15, 211), (1, 211, 15))
FULL: tuple[Case, ...] = (*QUICK, (7, 64, 48), (2, 255, 257), (1, 480, 641), (1, 1080, 1920))

MOST_PIXELS = 1 << 24  # between two steps; `resize: {width: 3000}` makes 500 megapixels of a column of 57
MOST_LEVELS = 1  # a tie may round either way where float32 sums run in another order
LEAST_EXACT = 0.9999
MOST_APART = 1e-3  # of a measurement, relative: 0.004 dB
NOTHING = 1e-9  # measurements below (90 dB) are compared as if they were that great


@dataclass(frozen=True, slots=True)
class Comparison:
    """One batch in both engines: the greatest difference in levels, and how many of `values` are equal.

    `apart` is the greatest relative difference of a measurement. A chain that only measures has no values.
    """

    batch: int
    height: int
    width: int
    worst: int
    equal: int
    values: int
    apart: float = 0.0


@dataclass(frozen=True, slots=True)
class ParityReport:
    """All comparisons of one chain."""

    chain: str
    comparisons: tuple[Comparison, ...]

    @property
    def worst(self) -> int:
        """The greatest difference anywhere, in levels."""
        return max((comparison.worst for comparison in self.comparisons), default=0)

    @property
    def exact(self) -> float:
        """The fraction of all values that are equal."""
        values = sum(c.values for c in self.comparisons)
        return sum(c.equal for c in self.comparisons) / values if values else 1.0

    @property
    def apart(self) -> float:
        """The greatest relative difference of any measurement."""
        return max((comparison.apart for comparison in self.comparisons), default=0.0)

    @property
    def passed(self) -> bool:
        """At most MOST_LEVELS apart anywhere, at least LEAST_EXACT of the values equal, measurements within MOST_APART.

        Nothing to compare passes.
        """
        return self.worst <= MOST_LEVELS and self.exact >= LEAST_EXACT and self.apart <= MOST_APART

    @property
    def summary(self) -> str:
        """How far apart the engines are, in words."""
        pictures = f"at most {self.worst} levels apart, {self.exact:.4%} equal"
        return pictures if not self.apart else f"{pictures}, measurements within {self.apart:.1e}"

    def table(self) -> str:
        """The report for people."""
        verdict = f"{'passed' if self.passed else 'FAILED'}: {self.summary}"
        lines = [self.chain, "batch  height  width  levels  equal     measurements"]
        for c in self.comparisons:
            equal = f"{c.equal / c.values:.4%}" if c.values else "-"
            lines.append(f"{c.batch:5}  {c.height:6}  {c.width:5}  {c.worst:6}  {equal:8}  {c.apart:.1e}")
        return "\n".join([*lines, verdict])

    def as_json(self) -> dict[str, object]:
        """The report for programs."""
        verdict = {"worst": self.worst, "exact": self.exact, "apart": self.apart, "passed": self.passed}
        return {**asdict(self), **verdict}


def measure(chain: Chain, graph: Path, cases: Iterable[Case] = FULL) -> ParityReport:
    """Compare the graph with PyTorch on noise and ramps of every size in `cases` that the chain does not blow up.

    Raises what ONNX Runtime raises.
    """
    session = open_session(graph)
    module = ChainModule(chain).eval()
    fitting = [case for case in cases if most_pixels(chain, case) <= MOST_PIXELS]
    return ParityReport(describe(chain), tuple(_compare(session, module, case) for case in fitting))


def most_pixels(chain: Chain, case: Case) -> int:
    """The size of the batch where it is greatest, before, between or after the steps; nothing is computed for it."""
    with torch.device("meta"):
        picture = Picture(torch.empty(*case, 3, dtype=torch.uint8))
        sizes = [picture.height * picture.width]
        for step in chain:
            picture = apply(step, picture)
            sizes.append(picture.height * picture.width)
            measures = operators()[step.name].measures
            if measures and measures.side:
                sizes.append(measures.side(dict(step.parameters)) ** 2)
    return case[0] * max(sizes)


def open_session(graph: Path) -> onnxruntime.InferenceSession:
    """The graph in ONNX Runtime on the CPU, silent: what fails is raised, and need not be logged as well."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def sample(case: Case) -> Bytes:
    """A batch to compare on: noise, where every pixel counts, and in every second picture a ramp, rich in ties."""
    batch, height, width = case
    pictures = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
    ramp = (np.arange(height)[:, None] + np.arange(width))[..., None] * np.array([1, 2, 3])
    pictures[1::2] = (ramp % 256).astype(np.uint8)
    return pictures


def _compare(session: onnxruntime.InferenceSession, module: ChainModule, case: Case) -> Comparison:
    pictures, names = sample(case), output_names(module.chain)
    with torch.no_grad():
        expected = {name: value.numpy() for name, value in zip(names, module(torch.from_numpy(pictures)), strict=True)}
    given = dict(zip(names, session.run(names, {INPUT: pictures}), strict=True))
    if any(given[name].shape != expected[name].shape for name in names):
        # No level is that far off: a wrong size fails whatever the bounds are.
        return Comparison(*case, worst=256, equal=0, values=1)
    apart = [_apart(given[name], expected[name]) for name in names if name != OUTPUT]
    worst = equal = values = 0
    if OUTPUT in expected:
        difference = np.abs(given[OUTPUT].astype(np.int16) - expected[OUTPUT])
        worst, equal, values = int(difference.max()), int((difference == 0).sum()), difference.size
    return Comparison(*case, worst, equal, values, max(apart, default=0.0))


def _apart(given: Floats, expected: Floats) -> float:
    """The greatest relative difference; infinite where one of both is not a number."""
    difference = np.abs(given.astype(np.float64) - expected) / np.maximum(np.abs(expected), NOTHING)
    return float(np.nan_to_num(difference, nan=np.inf).max())


def main() -> int:
    """Chain as JSON on standard input, graph as argument; the report as JSON on standard output. 1 if it failed."""
    report = measure(parse_chain(json.load(sys.stdin)), Path(sys.argv[1]))
    print(json.dumps(report.as_json()))
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
