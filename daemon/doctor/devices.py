"""Devices, one by one, with a picture through each; and every rule's graph on the device that it would run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daemon.doctor.values import Finding, fault, note, ok, parted
from daemon.errors import DarkroomError
from daemon.model import Config
from daemon.runtime import Runtime
from daemon.runtime.choice import DOCTOR, run_probe, try_device
from daemon.runtime.devices import AUTO, Device, NotUsable
from daemon.runtime.engine import Engine
from daemon.runtime.graph import not_compared
from daemon.runtime.ort import OnnxRuntime
from daemon.runtime.providers import cpu
from export.store import GraphStore

AREA, RULES = "devices", "rules"
PROVEN = "a picture came out right"
HERE = "see what `nvidia-smi` says of the card; `device: auto` takes another device meanwhile"


def examine(config: Config | None, engine: Engine | None = None) -> Iterator[Finding]:
    """Every device; one that does not work is a fault only if the configuration names it."""
    engine = engine or OnnxRuntime()
    wanted = config.runtime.device if config is not None else AUTO
    for device in Device:
        yield _device(device, engine, needed=wanted == device or device is Device.CPU)
    if config is not None:
        yield from _graphs(config, engine)


def _device(device: Device, engine: Engine, *, needed: bool) -> Finding:
    try:
        gpu = try_device(device, engine)
        if gpu is None:
            run_probe(device, lambda graph: (engine.open(graph, cpu()), cpu()))
    except NotUsable as error:
        return (fault if needed else note)(AREA, device, error.cause, HERE if error.remedy == DOCTOR else error.remedy)
    return ok(AREA, device, PROVEN if gpu is None else f"{PROVEN}, on {gpu.label}, driver {gpu.driver}")


def _graphs(config: Config, engine: Engine) -> Iterator[Finding]:
    """Each rule's compiled graph against PyTorch, on the device that the daemon would take."""
    area, store = RULES, GraphStore(config.state_dir / "graphs")
    try:
        runtime = Runtime(config.runtime.device, 1, engine=engine)
    except NotUsable:
        return  # told above
    if runtime.choice:
        yield note(area, "", runtime.choice)
    for rule in [rule for rule in config.rules if not rule.is_task]:
        if (graph := store.find(rule.chain)) is None:
            yield note(area, rule.name, "its graph is not compiled yet; `darkroom run` does so when it starts")
            continue
        try:
            why_not = runtime.load(graph)
        except DarkroomError as error:
            yield parted(area, rule.name, str(error))
        else:
            yield _agreement(rule.name, graph, runtime, why_not)


def _agreement(rule: str, graph: Path, runtime: Runtime, why_not: str) -> Finding:
    device, against = runtime.device_of(graph), runtime.compared_with(graph)
    if not against:
        detail = f"its graph opens on the {device}; what it computes was not compared: {not_compared(graph)}"
        return note(RULES, rule, f"{detail}; it {why_not}" if why_not else detail)
    detail = f"its graph agrees with {against} on the {device}"
    return note(RULES, rule, f"{detail}; it {why_not}") if why_not else ok(RULES, rule, detail)
