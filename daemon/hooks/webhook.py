"""A process that posts one event and ends: `python -m daemon.hooks.webhook`, with what to do on standard input.

A process, since nothing else can be ended for certain: looking up a name takes no time-out, and a server that sends
a byte now and then is never late. The address comes by standard input, as words of a process are for all to see.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from daemon.shown import say


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without the event, and credentials would go to whoever is named."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage
    ) -> None:
        """Leave it to be told as the error it is."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def request(address: str, timeout: float, event: bytes) -> bytes:
    """What this process is to do, as it reads it."""
    return json.dumps({"address": address, "timeout": timeout}).encode() + b"\n" + event


def main() -> int:
    """Post. 0, or 1 with the reason as a line on standard error, without the address."""
    order, _, event = sys.stdin.buffer.read().partition(b"\n")
    trouble = _post(event=event, **json.loads(order))
    if trouble:
        say(trouble, error=True)
    return 1 if trouble else 0


def _post(address: str, timeout: float, event: bytes) -> str:
    """What went wrong, if anything."""
    opener = urllib.request.build_opener(_NoRedirect)  # proxies of the environment, certificates of the system
    try:
        with opener.open(_request(address, event), timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        moved = f"; it has moved, to {_host(error)}: write its new address" if 300 <= error.code < 400 else ""
        return f"answered {error.code} {error.reason}{moved}"
    except urllib.error.URLError as error:
        reason = error.reason
        return f"not reached: {getattr(reason, 'strerror', None) or reason}"
    except TimeoutError:
        return f"no answer within its time-out, {timeout:g} s"
    except OSError as error:
        return f"not reached: {error.strerror or error}"
    except (http.client.HTTPException, ValueError) as error:
        return f"no sound answer ({type(error).__name__})"  # its text may hold the address


def _request(address: str, event: bytes) -> urllib.request.Request:
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json", "User-Agent": "darkroom"}
    if at:
        name, _, password = user.partition(":")
        pair = f"{unquote(name)}:{unquote(password)}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return urllib.request.Request(urlunsplit(parts._replace(netloc=host)), event, headers, method="POST")


def _host(error: urllib.error.HTTPError) -> str:
    parts = urlsplit(error.headers.get("Location", ""))
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"


if __name__ == "__main__":
    sys.exit(main())
