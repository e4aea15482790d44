"""How the tests of this folder run the task in their own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from kernels import prior_plan


@pytest.fixture
def tiles_of_128(monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger pictures are cut, as those above 768 are otherwise."""
    monkeypatch.setattr(prior_plan, "SIDES", (128,))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny pictures have one: two that wait for each other beside other tests take six times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
