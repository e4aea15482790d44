"""The task on a real card, where PyTorch has one. Else skipped, with why."""

from __future__ import annotations

import pytest
import torch

from daemon.tasks.memory import Peak
from tests.prior.runs import decibels, noisy, run
from tests.task_runs import started

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch has no card here (no CUDA build, or no driver)"),
]


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_it_restores_and_takes_what_was_planned(precision: str) -> None:
    whole, given = noisy("chelsea", 256, 256)
    peak = Peak(torch.device("cuda"))
    done = run({"picture": given.cuda()}, iterations=400, precision=precision)
    assert decibels(done.picture.cpu(), whole) > decibels(given, whole) + 4
    assert peak.read() >> 20 <= 1.25 * done.record["memory_estimate"]


def test_no_step_waits_for_the_card() -> None:
    """Nothing is read from it step by step: a wait is an error here. The look at the signal, every tenth, is one."""
    _, given = noisy("chelsea", 96, 96)
    steps = started("deep_image_prior", {"picture": given.cuda()}, {}, iterations=200)
    for _ in range(121):  # past the first looks
        next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(9):
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
