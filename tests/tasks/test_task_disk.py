"""A disk that takes no checkpoint, or no result: the rule is blocked, says so, goes on by itself, and loses nothing."""

from __future__ import annotations

from tests.box import Pixels, wait_until
from tests.daemon.test_faults import fill, needs_root, small_disk
from tests.tasks.same import assert_same
from tests.tasks.taskbox import CALM, SLOW, TaskBox, rule


@needs_root
def test_a_disk_that_is_full_when_a_checkpoint_is_due(taskbox: TaskBox, tiny: Pixels) -> None:
    taskbox.configure(rule("slow", SLOW), rule("calm", CALM))
    taskbox.drop("slow/cat.png", tiny)
    with small_disk(taskbox.folder / "var" / "tasks") as disk:
        daemon = taskbox.start()
        taskbox.until_begun()
        job = taskbox.row("slow/cat.png")[0]
        taskbox.until_saved(job)
        filler = fill(disk)
        reason = taskbox.until("slow/cat.png", "waiting")
        assert str(taskbox.tasks_folder(job)) in reason
        assert "cannot be written" in reason and "work goes on by itself" in reason, reason
        wait_until(lambda: taskbox.snapshot()["rules"][0]["blocked"], 10, "status to tell that the rule is blocked")
        assert daemon.said("slow: ") and daemon.said("work goes on by itself")
        assert taskbox.checkpoint(job).exists(), "the one before stands"
        filler.unlink()
        taskbox.until("slow/cat.png", "done")
        assert daemon.said("slow: works again") and taskbox.job("slow/cat.png")["attempts"] == 0
        assert taskbox.begins()[0] == 0 < taskbox.begins()[1]
        taskbox.drop("calm/cat.png", tiny)
        taskbox.until("calm/cat.png", "done")
        assert_same(taskbox, "slow/cat.png", "calm/cat.png")
        assert daemon.stop() == 0


def test_a_folder_that_is_in_the_way_when_the_result_is_there(taskbox: TaskBox, tiny: Pixels) -> None:
    """No fault of the task: no try is counted, and it is not failed. No checkpoint comes first."""
    taskbox.configure(rule("slow", "wander: {steps: 40, pause: 2, slow: 40}", "retries: 0"), tasks="checkpoint: 1h")
    taskbox.drop("slow/cat.png", tiny)
    taskbox.start()
    taskbox.until_paused()
    job = taskbox.row("slow/cat.png")[0]
    folder = taskbox.tasks_folder(job)
    folder.rename(taskbox.folder / "away")
    folder.write_bytes(b"in the way")
    reason = taskbox.until("slow/cat.png", "waiting")
    assert str(folder) in reason and "cannot be written" in reason and "goes on by itself" in reason, reason
    folder.unlink()
    taskbox.until("slow/cat.png", "done")
    assert taskbox.job("slow/cat.png")["attempts"] == 0
