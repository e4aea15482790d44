"""Is a session what was asked for? Nothing is believed: not the list of providers, not the session, not the device.

`get_available_providers()` says what was compiled in: on a machine without CUDA it lists CUDA, and a session asked for
it runs on the processor and says nothing (onnxruntime #23372, #17801).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.runtime.devices import PROVIDERS, Device, Unproven
from daemon.runtime.engine import Node, Session
from daemon.runtime.providers import Plan
from export.golden import Golden, difference

NAMED = 4  # kinds of nodes that a message lists


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a graph must do on a device.

    `shape_nodes` are the nodes that may stay on the processor, by name, since they only reckon with sizes: a node that
    an optimiser added is not among them. None: nothing is known of the graph. `golden` is a picture through it.
    """

    shape_nodes: frozenset[str] | None = None
    golden: Golden | None = None


def prove(session: Session, plan: Plan, expected: Expectation) -> None:
    """Raises Unproven, and the errors of a run."""
    _prove_provider(session.providers, plan)
    if plan.device is not Device.CPU and expected.shape_nodes is not None:
        _prove_assignment(session.nodes, plan, expected.shape_nodes)
    if expected.golden is not None:
        prove_picture(session, plan.device, expected.golden)


def prove_picture(session: Session, device: Device, golden: Golden) -> None:
    """A picture through the graph. Raises Unproven, and the errors of a run."""
    if fault := difference(session.run(golden.batch), golden):
        raise Unproven(f"{device} computes something else: {fault}")


def _prove_provider(providers: Sequence[str], plan: Plan) -> None:
    if plan.provider not in providers:
        real = ", ".join(providers) or "nothing"
        raise Unproven(f"{plan.device} was asked for, but the session silently fell back to {real}")


def _prove_assignment(nodes: Sequence[Node], plan: Plan, shape_nodes: frozenset[str]) -> None:
    """Every node that touches pixels is on the card, and the provider asked for has at least one of them.

    Behind TensorRT, CUDA may have some: that is another device than asked for, but no processor.
    """
    at_home = PROVIDERS[Device.CPU]
    strays = Counter(node.kind for node in nodes if node.provider == at_home and node.name not in shape_nodes)
    if strays:
        kinds = ", ".join(f"{kind} ×{times}" for kind, times in strays.most_common(NAMED))
        more = ", …" if len(strays) > NAMED else ""
        raise Unproven(f"{strays.total()} operators on pixels were left to the processor ({kinds}{more})")
    if not any(node.provider == plan.provider for node in nodes):
        raise Unproven(f"not one operator was given to {plan.device}")
