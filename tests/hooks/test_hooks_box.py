"""Hooks from the user's side: pictures fail or come to an end, and somebody is told; the work never waits for it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests import pairs
from tests.box import MOSAIC, Box, Pixels, wait_until
from tests.hooks.listeners import Listener, Server, running, serving
from tests.reload.test_reload import configure, rule, said, until

BROKEN = b"no picture at all"


@pytest.fixture
def listener(box: Box) -> Listener:
    return Listener(box)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


# -- on_failure --------------------------------------------------------------------------------------------------------


def test_a_failure_is_told(box: Box, listener: Listener, small: Pixels) -> None:
    """Words, standard input and environment; with --once before the end."""
    command = listener.words("{rule}: {picture}", "{reason}", "{{}}", "{job} {state} {count} {event}", "{output}")
    box.rules(f"on_failure: {{command: {command}}}")
    box.drop("in/deep/broken.png", BROKEN)
    box.drop("in/sound.png", small)
    box.once(check=1)
    (job,) = box.jobs("--state", "failed")
    ((told),) = listener.heard
    reason, out, source = job["reason"], str(box.folder / "out"), str(box.folder / "in/deep/broken.png")
    words = ["mosaic: deep/broken.png", reason, "{}", f"{job['id']} failed 1 failure", out]
    assert [word.decode() for word in told["words"]] == words
    assert told["folder"] == str(box.folder)
    event = told["event"]
    failure = {"job": job["id"], "picture": "deep/broken.png", "source": source, "reason": reason}
    assert event.items() >= failure.items() and event["failures"] == [failure | {"time": event["time"]}]
    expected = {"event": "failure", "rule": "mosaic", "count": 1, "state": "failed", "output": out}
    assert event.items() >= expected.items() and event["host"] == socket.gethostname()
    assert abs(datetime.fromisoformat(event["time"]).timestamp() - time.time()) < 60
    for name, value in event.items():
        if name != "failures":
            assert told["environment"][f"DARKROOM_{name.upper()}"].decode() == str(value)


NAMES = [
    b"two words.png",
    b"\"quoted\" 'twice'.png",
    b"a\nline.png",
    b"caf\xe9.png",
    b"$(touch owned); *.png",
    b"-n.png",
]


def test_unusual_names(box: Box, listener: Listener) -> None:
    """Nothing is taken apart, nothing is run, nothing is mistaken for an option; bytes stay what they are."""
    shell = f'["sh", "-c", "exec {listener.command[0]} record.py heard \\"$DARKROOM_PICTURE\\""]'
    box.write_config(
        "version: 1\nsettle: 100ms\nrules:\n"
        + rule("words", "in", MOSAIC, f"on_failure: {{command: {listener.words('{picture}')}, every: 0}}")
        + rule("shell", "in", MOSAIC, f"on_failure: {{command: {shell}, every: 0}}")
    )
    (box.folder / "in").mkdir()
    for name in NAMES:
        with open(os.fsencode(box.folder / "in") + b"/" + name, "wb") as file:
            file.write(BROKEN)
    box.once(check=1)
    assert sum(event["count"] for event in listener.events) == 2 * len(NAMES)
    named = [failure["picture"] for event in listener.events for failure in event["failures"]]
    printable = [name.decode(errors="surrogateescape").encode(errors="backslashreplace").decode() for name in NAMES]
    assert sorted(named) == sorted(2 * printable)
    for told in listener.heard:
        (word,), picture = told["words"], told["environment"]["DARKROOM_PICTURE"]
        assert picture in NAMES
        guarded = picture.startswith(b"-") and told["event"]["rule"] == "words"
        assert word == (b"./" + picture if guarded else picture)
    assert not (box.folder / "owned").exists()


def test_a_flood_of_failures(box: Box, listener: Listener) -> None:
    """The first is told at once, the others together: not a process for each."""
    box.rules(f"on_failure: {{command: {listener.words()}, every: 2s}}")
    for number in range(300):
        box.drop(f"in/{number:03}.png", BROKEN)
    began = time.monotonic()
    box.start()
    wait_until(lambda: sum(event["count"] for event in listener.events) == 300)
    assert len(listener.events) <= 2 + (time.monotonic() - began) / 2
    assert all(len(event["failures"]) == min(20, event["count"]) for event in listener.events)


def test_a_hook_that_hangs(box: Box, small: Pixels) -> None:
    """It is ended after its time, with what it started; meanwhile pictures are done, and other rules are heard."""
    marker = f"31.{os.getpid()}{time.monotonic_ns() % 1000}"
    hangs = f'["sh", "-c", "sleep {marker} & sleep {marker}; wait"]'
    quick = Listener(box)
    box.write_config(
        "version: 1\nsettle: 100ms\nrules:\n"
        + rule("hangs", "in", MOSAIC, f"on_failure: {{command: {hangs}, timeout: 8s, every: 0}}")
        + rule("quick", "two", MOSAIC, f"on_failure: {{command: {quick.words()}}}", "output: out2/{name}")
    )
    daemon = box.start()
    box.drop("in/broken.png", BROKEN)
    wait_until(lambda: len(running(marker)) == 3)
    box.drop("in/sound.png", small)
    box.drop("two/broken.png", BROKEN)
    box.drop("in/another.png", BROKEN)
    until(box, "sound.png", "done")
    quick.wait()
    until(box, "another.png", "failed")
    assert not daemon.said("hangs: on_failure")
    assert len(running(marker)) == 3, "one at a time for each rule"
    said(daemon, "hangs: on_failure: sh: ended after its time-out, 8 s")
    wait_until(lambda: len(running(marker)) == 3, what="the other failure to be told")
    began = time.monotonic()
    assert daemon.stop() == 0 and time.monotonic() - began < 4
    assert running(marker) == []
    last = "hangs: on_failure: sh: ended because darkroom stops; it was to tell one failure (another.png)"
    assert daemon.said(last)


def test_a_stop_tells_what_is_left(box: Box, listener: Listener) -> None:
    box.rules(f"on_failure: {{command: {listener.words()}, every: 1h}}")
    daemon = box.start()
    box.drop("in/one.png", BROKEN)
    listener.wait()
    box.drop("in/two.png", BROKEN)
    until(box, "two.png", "failed")
    assert len(listener.heard) == 1
    assert daemon.stop() == 0
    assert [event["picture"] for event in listener.events] == ["one.png", "two.png"]


def test_hooks_that_fail_are_told_once(box: Box) -> None:
    fails = """["sh", "-c", "echo no display >&2; echo more >&2; head -c 9000000 /dev/zero >&2; exit 3"]"""
    box.write_config(
        "version: 1\nsettle: 100ms\nrules:\n"
        + rule("fails", "in", MOSAIC, f"on_failure: {{command: {fails}, every: 0}}")
        + rule("absent", "in", MOSAIC, "on_failure: {command: [./nothing-there], every: 0}")
        + rule("killed", "in", MOSAIC, "on_failure: {command: [sh, -c, 'kill -9 $$'], every: 0}")
    )
    daemon = box.start()
    for number in range(3):
        box.drop(f"in/{number}.png", BROKEN)
        until(box, f"{number}.png", "failed")
        wait_until(lambda: daemon.said("fails: on_failure: "))
    said(daemon, "killed: on_failure: sh: was ended by SIGKILL")
    assert daemon.stop() == 0
    assert daemon.lines.count("fails: on_failure: sh: ended with 3: no display") == 1
    absent = "absent: on_failure: ./nothing-there: cannot be started (No such file or directory); "
    assert [line for line in daemon.lines if "nothing-there" in line] == [f"{absent}`darkroom doctor` looks for it"]


# -- webhooks ----------------------------------------------------------------------------------------------------------


def hooked(box: Box, address: str, *more: str) -> None:
    box.rules(f"on_failure: {{webhook: '{address}', every: 0{''.join(f', {each}' for each in more)}}}")


def test_a_webhook(box: Box, server: Server) -> None:
    hooked(box, f"http://me:s%40cret@{server.host}/secret/path?token=secret")
    box.drop("in/broken.png", BROKEN)
    assert "secret" not in box.once(check=1).stdout
    (post,) = server.posts
    assert post["path"] == "/secret/path?token=secret" and post["headers"]["Content-Type"] == "application/json"
    assert post["headers"]["Authorization"] == "Basic bWU6c0BjcmV0"
    assert (post["event"]["event"], post["event"]["picture"], post["event"]["count"]) == ("failure", "broken.png", 1)


def test_webhooks_that_fail(box: Box, server: Server) -> None:
    """Each in plain words, without what is secret of the address; none is followed to another place."""
    hooked(box, "http://localhost/")
    daemon = box.start()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = f"127.0.0.1:{closed.getsockname()[1]}"
        cases = [
            (server.host, 500, f"http://{server.host}: answered 500 Internal Server Error"),
            (server.host, 302, f"http://{server.host}: answered 302 Found; it has moved, to file://elsewhere"),
            (refused, 0, f"http://{refused}: not reached: Connection refused"),
        ]
        server.headers = {"Location": "file://elsewhere/etc/passwd"}
        for number, (host, status, words) in enumerate(cases):
            server.status = status
            hooked(box, f"http://{host}/secret{number}?secret")
            box.darkroom("reload")
            box.drop(f"in/{number}.png", BROKEN)
            said(daemon, f"mosaic: on_failure: {words}")
    assert len(server.posts) == 2 and not daemon.said("secret")


def test_a_slow_server(box: Box, server: Server, small: Pixels) -> None:
    server.go_on.clear()
    hooked(box, f"http://{server.host}/", "timeout: 1s")
    daemon = box.start()
    box.drop("in/broken.png", BROKEN)
    wait_until(lambda: server.posts)
    box.drop("in/sound.png", small)
    until(box, "sound.png", "done")
    wait_until(lambda: daemon.said(f"mosaic: on_failure: http://{server.host}: ") and daemon.said("time-out, 1 s"))
    assert daemon.stop(signal.SIGTERM) == 0


# -- on_idle -----------------------------------------------------------------------------------------------------------


def test_idle_is_told_once_a_stretch(box: Box, listener: Listener, small: Pixels) -> None:
    """A picture now and then is one stretch; a group that waits for its partner is no work."""
    box.rules(f"on_idle: {{command: {listener.words('{done} {failed} {count}')}, after: 2s}}")
    box.start()
    for number in range(4):
        box.drop(f"in/{number}.png", BROKEN if number == 3 else small)
        until(box, f"{number}.png", "failed" if number == 3 else "done")
        time.sleep(0.7)
    assert listener.heard == []
    ((told),) = listener.wait()
    assert told["words"] == [b"3 1 4"] and told["event"]["event"] == "idle" and told["event"]["seconds"] >= 2.1
    time.sleep(2.5)
    assert len(listener.heard) == 1, "nothing happened since"
    box.drop("in/last.png", small)
    assert listener.wait(2)[1]["words"] == [b"1 0 1"]


def test_groups_that_wait_are_no_work(box: Box, listener: Listener, small: Pixels) -> None:
    pairs.furnish(box)
    config = box.folder / "config.yaml"
    config.write_text(config.read_text().rstrip() + f"\n    on_idle: {{command: {listener.words()}, after: 0}}\n")
    box.drop("in/castle.near.jpg", small)
    box.drop("in/tower.near.jpg", small)
    box.drop("in/tower.near.png", small)
    box.once(check=1)
    ((told),) = listener.heard
    assert (told["event"]["failed"], told["event"]["count"]) == (1, 1)
    assert box.states() == {"castle": "waiting", "tower": "failed"}


def test_once_tells_that_it_is_through(box: Box, listener: Listener, small: Pixels) -> None:
    box.rules(f"on_failure: {{command: {listener.words()}}}\non_idle: {{command: {listener.words()}, after: 1h}}")
    box.drop("in/one.png", small)
    box.drop("in/two.png", BROKEN)
    box.once(check=1)
    assert sorted(event["event"] for event in listener.events) == ["failure", "idle"]
    box.once()
    assert len(listener.events) == 2, "nothing is told again"


# -- edits -------------------------------------------------------------------------------------------------------------


def test_hooks_come_and_go_with_an_edit(box: Box, listener: Listener) -> None:
    configure(box, rule())
    daemon = box.start()
    with_hook = rule("mosaic", "in", MOSAIC, f"on_failure: {{command: {listener.words()}, every: 0}}")
    for number, text in enumerate([rule(), with_hook, with_hook.replace("mosaic\n", "pixels\n", 1), rule("pixels")]):
        configure(box, text)
        assert "no faults" in box.darkroom("check").stdout
        box.darkroom("reload")
        box.drop(f"in/{number}.png", BROKEN)
        until(box, f"{number}.png", "failed")
    said(daemon, "rule mosaic changed: on_failure")
    assert daemon.stop() == 0
    assert [(event["rule"], event["picture"]) for event in listener.events] == [
        ("mosaic", "1.png"),
        ("pixels", "2.png"),
    ]
