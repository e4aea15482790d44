"""Metrics of a real daemon: what they say, where they can be had, and what they must not hold up."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import stat
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.config import load_config
from daemon.editing.changes import held_back
from daemon.metrics.listener import Listener
from daemon.options import MetricsOptions
from daemon.pipeline.meters import Stage
from daemon.version import darkroom_version
from tests.box import Box, Pixels, wait_until
from tests.config.test_config_faults import faults
from tests.metrics.scrape import Scrape, free_port, listening, of_port, of_socket

RULES = "rules: [{name: a, watch: in, steps: [grayscale], output: 'out/{stem}.png'}]"


def counts(box: Box) -> Counter[tuple[str, str]]:
    return Counter((job["rule"], job["state"]) for job in box.jobs())


def told(scrape: Scrape) -> dict[tuple[str, ...], float]:
    return {labels: number for labels, number in scrape.by("darkroom_jobs").items() if number}


# -- what they say ---------------------------------------------------------------------------------------------------


def test_they_say_what_jobs_says(box: Box, small: Pixels) -> None:
    port = free_port()
    box.rules(head=f"settle: 100ms\nmetrics: {{port: {port}}}\nruntime: {{memory: 64MiB}}")
    daemon = box.start()
    before = of_port(port)
    assert before.value("darkroom_jobs_ended_total", rule="mosaic", state="failed") == 0, (
        "so that it can be seen to rise"
    )
    assert listening(daemon.process.pid) == {f"0100007F:{port:04X}"}, "nowhere but on the loopback interface"
    for number in range(3):
        box.drop(f"in/{number}.png", small)
    box.drop("in/broken.png", b"no picture")
    wait_until(lambda: Counter(box.states().values()) == {"done": 3, "failed": 1})
    wait_until(lambda: of_port(port).value("darkroom_jobs_in_flight") == 0)
    scrape = of_port(port)

    assert told(scrape) == counts(box) == {("mosaic", "done"): 3, ("mosaic", "failed"): 1}
    assert scrape.value("darkroom_ledger_readable") == 1
    assert scrape.value("darkroom_jobs_ended_total", rule="mosaic", state="done") == 3
    assert scrape.value("darkroom_jobs_ended_total", rule="mosaic", state="failed") == 1
    assert scrape.value("darkroom_job_retries_total", rule="mosaic") == 0
    assert scrape.value("darkroom_job_seconds_count", rule="mosaic") == 3
    assert 0 < (scrape.value("darkroom_job_seconds_sum", rule="mosaic") or 0) < 60
    assert scrape.value("darkroom_batch_pictures_sum") == 3
    for stage in set(Stage) - {Stage.TASK}:
        assert scrape.value("darkroom_stage_seconds_count", stage=stage), stage
        assert 0 < (scrape.value("darkroom_stage_seconds_sum", stage=stage) or 0) < 60
    assert (scrape.value("darkroom_queue_bytes"), scrape.value("darkroom_queue_limit_bytes")) == (0, 64 << 20)
    assert scrape.value("darkroom_device_info", device="cpu") == 1
    assert scrape.value("darkroom_rule_device_info", rule="mosaic", device="cpu") == 1
    assert scrape.value("darkroom_rule_blocked", rule="mosaic") == 0
    assert scrape.value("darkroom_rule_graph_missing", rule="mosaic") == 0
    assert scrape.value("darkroom_build_info", version=darkroom_version()) == 1
    assert scrape.value("darkroom_ledger_bytes", file="main") == (box.folder / "var/ledger.db").stat().st_size
    assert (scrape.value("darkroom_ledger_bytes", file="wal") or 0) > 0
    assert (scrape.value("darkroom_ledger_disk_free_bytes") or 0) > 1 << 20
    nought = ("events_lost_total", "folders_unwatched", "folders_unreadable", "config_faults")
    assert [scrape.value(f"darkroom_{name}") for name in nought] == [0, 0, 0, 0]
    assert abs((scrape.value("process_start_time_seconds") or 0) - daemon.log.stat().st_ctime) < 60
    assert (scrape.value("process_resident_memory_bytes") or 0) > 10 << 20


def test_they_follow_an_edit(box: Box, small: Pixels) -> None:
    port = free_port()
    head = f"settle: 100ms\nmetrics: {{port: {port}}}"
    box.rules(head=head)
    daemon = box.start()
    since = of_port(port).value("darkroom_config_in_force_timestamp_seconds") or 0
    box.rules("onconflict: skip\nretires: 3", head=head)
    wait_until(lambda: of_port(port).value("darkroom_config_faults") == 2)
    box.rules(head=head)
    second = f"  - {{name: second, watch: gone/{'x' * 300}, steps: [grayscale], output: 'out/2/{{stem}}.png'}}\n"
    box.write_config((box.folder / "config.yaml").read_text() + second)
    wait_until(lambda: (of_port(port).value("darkroom_config_in_force_timestamp_seconds") or 0) > since)
    scrape = of_port(port)
    assert scrape.value("darkroom_config_faults") == 0
    assert scrape.value("darkroom_jobs", rule="second", state="waiting") == 0
    wait_until(lambda: of_port(port).value("darkroom_folders_unwatched") == 1)
    wait_until(lambda: of_port(port).value("darkroom_folders_unreadable") == 1)
    box.rules(head=f"settle: 100ms\nmetrics: {{socket: {box.folder}/m.sock}}")
    wait_until(lambda: daemon.said("config.yaml: metrics.port, metrics.socket: in force after the next start"))


def test_keys_that_count_after_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "without").write_text(f"version: 1\n{RULES}")
    (tmp_path / "with").write_text(f"version: 1\n{RULES}\nmetrics: {{port: 9464}}")
    without, given = (load_config(tmp_path / name) for name in ("without", "with"))
    assert not without.metrics.wanted and given.metrics.wanted
    assert held_back(without, given) == held_back(given, without) == ["metrics.port"]


# -- where they can be had -------------------------------------------------------------------------------------------


def test_a_socket_with_a_long_name(box: Box, small: Pixels) -> None:
    place = f"{'run/' * 40}metrics.sock"
    path = box.folder / place
    box.rules(head=f"settle: 100ms\nmetrics: {{socket: {place}}}")
    box.drop("in/cat.png", small)
    daemon = box.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660 and listening(daemon.process.pid) == set()
    daemon.process.kill()
    daemon.process.wait()
    assert path.exists()

    daemon = box.start()
    wait_until(lambda: box.states() == {"cat.png": "done"})
    with ThreadPoolExecutor(8) as pool:
        scrapes = list(pool.map(lambda _: of_socket(path), range(24)))
    assert [told(scrape) for scrape in scrapes] == [{("mosaic", "done"): 1}] * 24
    assert daemon.stop() == 0
    assert not path.exists()


def test_a_port_that_is_taken(box: Box, small: Pixels) -> None:
    """It is told once, the work goes on, and the port is had as soon as it is free."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        box.rules(head=f"settle: 100ms\nmetrics: {{port: {port}}}")
        box.drop("in/cat.png", small)
        daemon = box.start()
        wait_until(lambda: box.states() == {"cat.png": "done"})
    wait_until(lambda: daemon.said(f"metrics: http://127.0.0.1:{port}/metrics"))
    lines = [line for line in daemon.lines if line.startswith("metrics: ")]
    assert lines[0].startswith(
        f"metrics: http://127.0.0.1:{port}/metrics: Address already in use; stop the program that"
    )
    wait_until(lambda: lines[1:] or [line for line in daemon.lines if line.endswith(f":{port}/metrics")])
    with socket.create_connection(("127.0.0.1", port)):  # it says nothing, and is not waited for
        assert told(of_port(port)) == {("mosaic", "done"): 1}
        assert daemon.stop() == 0


def test_what_stands_where_the_socket_would_be(tmp_path: Path) -> None:
    """A file of somebody's is let be, and so is a socket at which somebody listens; one that was left behind is not."""
    lines, others = list[str](), list[str]()
    path = tmp_path / "metrics.sock"
    first, second = (Listener(MetricsOptions(socket=path), told.append) for told in (lines, others))
    path.write_text("mine")
    first.open()
    first.open()
    assert path.read_text() == "mine" and lines == [
        f"metrics: {path}: a file that is no socket stands there; move it away, or choose another place;"
        " it is tried again every 5 s, and the work goes on without"
    ]
    path.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    first.open()
    assert lines[1:] == [f"metrics: {path}"]
    second.open()
    assert others[0].startswith(f"metrics: {path}: Address already in use; stop the program that listens there, or ")
    second.close()
    assert path.is_socket(), "it is the first one's"
    first.close()
    assert not path.exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = list[str]()
    Listener(MetricsOptions(socket=tmp_path / "file/metrics.sock"), lines.append).open()
    assert lines[0].startswith(f"metrics: {tmp_path}/file: cannot be made (")


def test_nobody_pays_for_metrics_that_nobody_wants(box: Box, small: Pixels) -> None:
    box.drop("in/cat.png", small)
    tell = "import atexit, sys\natexit.register(lambda: print('loaded', 'prometheus_client' in sys.modules))"
    daemon = box.start(before=tell)
    wait_until(lambda: box.states() == {"cat.png": "done"})
    assert listening(daemon.process.pid) == set()
    assert daemon.stop() == 0 and daemon.lines[-1] == "loaded False"


# -- what they must not hold up --------------------------------------------------------------------------------------


def test_a_ledger_that_somebody_holds(box: Box, small: Pixels) -> None:
    """The locks of SQLite's readers (walIndexLock in wal.c: bytes 123 to 127 of the shared memory) are held."""
    port = free_port()
    box.rules(head=f"settle: 100ms\nmetrics: {{port: {port}}}")
    box.drop("in/cat.png", small)
    box.start()
    wait_until(lambda: box.states() == {"cat.png": "done"})
    with (box.folder / "var/ledger.db-shm").open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX, 5, 123)
        began = time.monotonic()
        scrape = of_port(port)
        assert time.monotonic() - began < 5
        assert scrape.value("darkroom_ledger_readable") == 0 and not told(scrape)
        assert scrape.value("darkroom_jobs_ended_total", rule="mosaic", state="done") == 1
    assert told(of_port(port)) == {("mosaic", "done"): 1}


def test_an_asker_who_never_ends(box: Box) -> None:
    """A byte now and then is in time for every wait, and would keep all others from asking."""
    port = free_port()
    box.rules(head=f"settle: 100ms\nmetrics: {{port: {port}}}")
    box.start(before="import daemon.metrics.listener as listener; listener.LONGEST = 1.0")
    with socket.create_connection(("127.0.0.1", port)) as dripping:
        dripping.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(of_port, port)
            while not answer.done():
                with contextlib.suppress(ConnectionError):
                    dripping.sendall(b"x")
                time.sleep(0.1)
            assert answer.result().value("darkroom_ledger_readable") == 1


# -- the key ---------------------------------------------------------------------------------------------------------

FAULTS = {
    "metrics: {port: 0}": "3:17: metrics.port: 0 is out of range; give at least 1",
    "metrics: {port: 65536}": "3:17: metrics.port: 65536 is out of range; give at most 65535",
    "metrics: {port: '9464'}": "3:17: metrics.port: '9464' is not a whole number; write digits without quotes",
    "metrics: 9464": "3:10: metrics: 9464 is not a mapping; write {key: value}, or one line for each key: value",
    "metrics: {}": "3:10: metrics: it says no place; write port: 9464, or socket: run/metrics.sock",
    "metrics: {port: 9464, socket: m.sock}": "3:23: metrics.socket: there is a port already; remove one of the two",
    "metrics: {host: here}": "3:11: metrics.host: 'host' is not a key here; known: port, socket",
    "metrics: {socket: 5}": "3:19: metrics.socket: 5 is not a path; write text",
    f"metrics: {{socket: {'x' * 81}}}": "3:19: metrics.socket: the name of a socket has 80 bytes at most;"
    " write a shorter one",
    "metrics: {socket: /}": "3:19: metrics.socket: '/' is a folder; name a socket in it, such as run/metrics.sock",
}


@pytest.mark.parametrize("entry", FAULTS)
def test_faults_of_the_key(tmp_path: Path, entry: str) -> None:
    assert faults(tmp_path, f"version: 1\n{RULES}\n{entry}") == [FAULTS[entry]]


def test_the_socket_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"version: 1\n{RULES}\nmetrics: {{socket: run/metrics.sock}}")
    assert load_config(tmp_path / "config.yaml").metrics == MetricsOptions(socket=tmp_path / "run/metrics.sock")


@pytest.mark.parametrize("on_port", [True, False])
def test_the_end_waits_for_nobody_who_might_ask(box: Box, on_port: bool) -> None:
    """Threads that wait for askers are woken: one that is not would keep the ledger open."""
    place = f"port: {free_port()}" if on_port else "socket: m.sock"
    box.rules(head=f"settle: 100ms\nmetrics: {{{place}}}")
    daemon = box.start(before="import daemon.control.listener as c, daemon.metrics.listener as m; c.LOOK = 60.0\n"
                       "m._Briefly.timeout = 60.0")  # fmt: skip
    assert daemon.stop() == 0
    assert not list((box.folder / "var").glob("ledger.db-*"))
