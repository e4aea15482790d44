"""`darkroom cancel` beside a daemon that takes jobs in the same moment."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from daemon.asking.whereabouts import Whereabouts
from daemon.changing import retrying as asking
from daemon.config import load_config
from daemon.ledger import Arrival, IllegalMoveError, Intent, Ledger, Move
from daemon.model import Fingerprint, Job, State

CONFIG = """
version: 1
state_dir: var
rules:
- {name: hybrid, watch: in, inputs: {near: "{key}.a.*", far: "{key}.b.*"}, steps: [hybrid], output: "out/{key}.png"}
"""


def test_a_job_that_is_taken_while_it_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a running task then, and is stopped as one."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "config.yaml")
    there = Whereabouts(config.path, config.state_dir, config)
    config.state_dir.mkdir()
    with closing(Ledger(config.state_dir / "ledger.db")) as ledger:
        (job,) = ledger.add([Arrival("hybrid", str(tmp_path / "in"), "cat", Fingerprint(1, 2, 3), "found")])
        seen = asking.named

        def taken_after_a_look(own: Ledger, ids: list[int]) -> list[Job]:
            jobs = seen(own, ids)
            if jobs[0].state is State.WAITING:
                ledger.advance([Move(job, State.RUNNING, "taken")])
            return jobs

        monkeypatch.setattr(asking, "named", taken_after_a_look)
        assert asking.cancel(there, [job]) == 0
        assert ledger.jobs(ids=[job])[0].state is State.CANCELLED
        with pytest.raises(IllegalMoveError):
            asking.cancel(there, [job])


def test_a_task_whose_output_is_certain_is_not_cancelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon was killed while it published it: the next start finishes that, and could not if the job had ended."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "config.yaml")
    there = Whereabouts(config.path, config.state_dir, config)
    config.state_dir.mkdir()
    with closing(Ledger(config.state_dir / "ledger.db")) as ledger:
        (job,) = ledger.add([Arrival("hybrid", str(tmp_path / "in"), "cat", Fingerprint(1, 2, 3), "found")])
        ledger.claim(["hybrid"], 1, "taken")
        ledger.intend([Intent(job, str(tmp_path / ".t"), str(tmp_path / "cat.png"), False, Fingerprint(4, 5, 6))])
        assert asking.cancel(there, [job]) == 1
        assert f"job {job} is running: taken" in capsys.readouterr().out
        assert ledger.jobs(ids=[job])[0].state is State.RUNNING
