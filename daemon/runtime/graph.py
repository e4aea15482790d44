"""One graph on one device: opened, proven, and run in batches that the device has memory for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daemon.runtime.batches import CPU_BATCH_PIXELS
from daemon.runtime.devices import Device, EngineError, OutOfMemory, first_line
from daemon.runtime.engine import Engine, Outputs, Pixels, Session
from daemon.runtime.proof import Expectation, prove, prove_picture
from daemon.runtime.providers import Plan, cpu
from export.golden import FLAT, Golden, pattern, unpack, why_none

REGAIN = 16
"""After a shortage of memory batches grow again by this part each time one fits: others may have given theirs back."""


@dataclass(slots=True)
class Loaded:
    """A graph in use. `used` is the device that it ran on last; `note` why it is not on the one chosen.

    `against` is what a picture through it was held against; "" when none was.
    `most` is how many pixels fit into the device at once, as far as was learned; 0 while nothing was.
    """

    graph: Path
    session: Session
    device: Device
    shape_nodes: frozenset[str]
    float64: bool
    used: str
    against: str = ""
    note: str = ""
    most: int = 0


def load(engine: Engine, graph: Path, plan: Plan) -> Loaded:
    """Open a graph and prove it. Raises Unproven and the errors of the engine."""
    session = engine.open(graph, plan)
    shape_nodes, float64 = _anatomy(graph, plan.device)
    known = shape_nodes if plan.device is not Device.CPU else None
    golden = golden_of(graph)
    prove(session, plan, Expectation(known, golden))
    against = "PyTorch" if golden is not None else _held_against_cpu(engine, graph, session, plan.device)
    return Loaded(graph, session, plan.device, shape_nodes, float64, plan.device, against)


def _held_against_cpu(engine: Engine, graph: Path, session: Session, device: Device) -> str:
    """In place of a golden picture, what the processor makes of a small one; there is nothing for itself."""
    if device is Device.CPU:
        return ""
    batch = pattern(FLAT)
    golden = Golden(batch, engine.open(graph, cpu()).run(batch))
    try:
        prove_picture(session, device, golden)
    except OutOfMemory:
        return ""  # too large a picture at this moment is no wrong one
    return "the cpu"


def _anatomy(graph: Path, device: Device) -> tuple[frozenset[str], bool]:
    if device is Device.CPU:
        return frozenset(), False
    from export.anatomy import anatomy  # needs onnx: not for a machine that has no card

    try:
        parts = anatomy(graph)
    except Exception as error:  # onnx and protobuf raise what they like
        raise EngineError(first_line(error)) from error
    return parts.shape_nodes, parts.float64


def golden_of(graph: Path) -> Golden | None:
    """The golden picture that the compiler left in the graph's card; None for a graph without one."""
    return unpack(_golden_card(graph))


def not_compared(graph: Path) -> str:
    """Why there is no golden picture."""
    return why_none(_golden_card(graph)) or "its card has no golden picture"


def _golden_card(graph: Path) -> object:
    try:
        card = json.loads(graph.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return None
    return card.get("golden") if isinstance(card, dict) else None


def run(loaded: Loaded, pictures: Sequence[Pixels]) -> list[Outputs]:
    """Run pictures of one shape, in halves where the device has no memory for all. The outputs, part by part.

    The processor may be given a batch that was gathered for a card; it takes that in batches of its own size.

    Raises OutOfMemory when not even one picture fits, and the other errors of the engine.
    """
    each = pictures[0].shape[0] * pictures[0].shape[1]
    if loaded.device is Device.CPU and len(pictures) * each > CPU_BATCH_PIXELS:
        most = max(1, CPU_BATCH_PIXELS // each)
        return [_whole(loaded, pictures[at : at + most]) for at in range(0, len(pictures), most)]
    pixels = len(pictures) * each
    if len(pictures) > 1 and loaded.most and pixels > loaded.most:
        return _in_halves(loaded, pictures)
    try:
        outputs = _whole(loaded, pictures)
    except OutOfMemory:
        if len(pictures) == 1:
            raise
        loaded.most = pixels // 2
        return _in_halves(loaded, pictures)
    if loaded.most:
        loaded.most += loaded.most // REGAIN
    return [outputs]


def _whole(loaded: Loaded, pictures: Sequence[Pixels]) -> Outputs:
    return loaded.session.run(gathered(loaded.session, pictures))


def _in_halves(loaded: Loaded, pictures: Sequence[Pixels]) -> list[Outputs]:
    half = len(pictures) // 2
    return run(loaded, pictures[:half]) + run(loaded, pictures[half:])


def gathered(session: Session, pictures: Sequence[Pixels]) -> Pixels:
    """Pictures of one shape as a batch, in memory that the device reads fastest. A single one is not copied."""
    if len(pictures) == 1:
        return pictures[0][None]
    return np.stack(pictures, out=session.buffer((len(pictures), *pictures[0].shape)))
