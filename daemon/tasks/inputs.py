"""The pictures of a task: read, proven to be the version the job is about, decoded into its folder one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from daemon.codec import Decoded, decode, probe
from daemon.conditions import unfit_color, unfit_size
from daemon.errors import DarkroomError, TransientError
from daemon.model import Conditions, Member
from daemon.source import read_source
from daemon.stages import Unwanted, refuse_repeat
from daemon.tasks.folder import TaskFolder
from daemon.work import Work


def prepare(work: Work, members: Sequence[Member], folder: TaskFolder, max_pixels: int) -> tuple[int, int]:
    """Put every input into the folder; `work` then has its content and what the result is encoded like.

    That is the first input: its metadata, and its transparency if it is the only one. Gives its width and height.
    Raises Unwanted for pictures that the rule does not want, and the errors of reading and of the codec, which name
    the file if there are several.
    """
    alone = len(members) == 1
    files, digests, sizes = list[bytes](), list[str](), list[tuple[int, int]]()
    for member in members:
        with _naming(member, alone):
            data, digest = read_source(member.path, member.fingerprint, max_pixels)
        files.append(data)
        digests.append(digest)
    work.content = digests[0] if alone else hashlib.sha256("".join(digests).encode()).hexdigest()
    refuse_repeat(work)
    for member, data in zip(members, files, strict=True):
        with _naming(member, alone):
            picture = decoded(data, max_pixels, work.rule.when)
        folder.write_input(member.role, picture.pixels)
        height, width, _ = picture.pixels.shape
        sizes.append((width, height))
        if work.decoded is None:
            first = np.ascontiguousarray(picture.pixels[:1, :1])  # the rest has its place in the folder now
            work.decoded = replace(picture, pixels=first, alpha=picture.alpha if alone else None)
    return sizes[0]


def decoded(data: bytes, max_pixels: int, when: Conditions) -> Decoded:
    """A picture in memory. Raises Unwanted if `when` does not want it, and the errors of the codec."""
    header = probe(data, max_pixels)
    try:
        picture = decode(data, header)
    except MemoryError as error:
        size = header.width * header.height / 1e6
        raise TransientError(f"not enough memory for {size:.0f} MP") from error
    if reason := unfit_size(when, header.width, header.height) or unfit_color(when, picture.pixels):
        raise Unwanted(reason)
    return picture


@contextmanager
def _naming(member: Member, alone: bool) -> Iterator[None]:
    """Of several inputs, say which one an error is about. Its class, which decides, stays."""
    try:
        yield
    except DarkroomError as error:
        if alone or member.path in str(error):
            raise
        raise type(error)(f"{member.role} ({os.path.basename(member.path)}): {error}") from error
