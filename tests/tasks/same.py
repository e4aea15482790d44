"""When two jobs of `wander` gave the same."""

from __future__ import annotations

import numpy as np

from tests.tasks.taskbox import TaskBox, losses


def assert_same(box: TaskBox, name: str, as_name: str) -> None:
    """The same to the last bit: the picture, the one beside it, every loss, and what is recorded."""
    for one, other in zip(box.result(name), box.result(as_name), strict=True):
        assert np.array_equal(one, other)
    one_job, other_job = box.job(name), box.job(as_name)
    assert losses(one_job) == losses(other_job)
    for word in ("end", "steps"):
        assert one_job["record"][word] == other_job["record"][word]
