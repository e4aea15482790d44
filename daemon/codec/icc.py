"""Colour profiles: carried as they are, and only beside samples of their own colour space."""

from __future__ import annotations

_SPACE = slice(16, 20)
_SIGNATURE = slice(36, 40)


def fitting(profile: bytes | None, gray: bool) -> bytes | None:
    """The profile if it describes such samples (`gray`: one channel, otherwise RGB), or None.

    A GRAY profile on RGB samples (or the reverse) is an error by ICC.1 and in the PNG specification; readers ignore
    or refuse it. Bytes that are no ICC profile are passed on: they say nothing wrong.
    """
    if not profile or profile[_SIGNATURE] != b"acsp":
        return profile or None
    return profile if profile[_SPACE] == (b"GRAY" if gray else b"RGB ") else None
