"""The pictures of a task: read, proven to be the version the job is about, decoded into its folder one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from daemon.codec import Decoded, Pixels, check_size, decode, probe
from daemon.errors import DarkroomError, TooManyPixels, TransientError
from daemon.model import Conditions, Member
from daemon.pipeline.conditions import unfit_color, unfit_size
from daemon.pipeline.source import read_source
from daemon.pipeline.stages import Unwanted, refuse_repeat
from daemon.pipeline.work import Work
from daemon.tasks.folder import TaskFolder
from kernels.chain import Step
from kernels.spec import operators

OPAQUE = 255


class Inputs:
    """The pictures of a task on their way into its folder; the first is the one that the result is like."""

    def __init__(self, step: Step, folder: TaskFolder, max_pixels: int) -> None:
        task = operators()[step.name].task
        assert task is not None
        self._task = task
        self._parameters = dict(step.parameters)
        self._folder = folder
        self.max_pixels = max_pixels
        """Of a picture, and of the result."""
        self._roles = list[str]()
        self.like: Decoded
        """The first picture with its metadata, and its transparency if no other is needed; one pixel of it is left."""
        self.width = self.height = 0
        """Of the result, in pixels."""

    def put(self, role: str, picture: Decoded) -> None:
        """Put one into the folder. Raises TooManyPixels for a first one whose result is beyond the limit."""
        if not self._roles:
            height, width, _ = picture.pixels.shape
            self.height, self.width = self._task.size(self._parameters, height, width)
            self._refuse_large((height, width) == (self.height, self.width))
            alpha = picture.alpha if len(self._task.inputs) == 1 else None
            self.like = replace(picture, pixels=np.ascontiguousarray(picture.pixels[:1, :1]), alpha=alpha)
        self._folder.write_input(role, _flat(picture) if role == self._task.transparency else picture.pixels)
        self._roles.append(role)

    def needs(self, role: str) -> bool:
        """Whether there is nothing to be done without this one."""
        return role in self._task.inputs

    def _refuse_large(self, alike: bool) -> None:
        try:
            check_size(self.width, self.height, self.max_pixels)
        except TooManyPixels as error:
            remedy = "" if alike else ", or change what the step makes of its size"
            raise TooManyPixels(f"the result would be too large: {error}{remedy}") from error

    def roles(self) -> tuple[str, ...]:
        """The roles of all that lie there, once the last has been put: transparency may have one, and is used up."""
        role, alpha = self._task.transparency, self.like.alpha
        open_role = role in self._task.roles(self._parameters) and role not in self._roles
        if role is not None and open_role and alpha is not None and alpha.min() < OPAQUE:
            self._folder.write_input(role, np.repeat(alpha[:, :, np.newaxis], 3, axis=2))
            self._roles.append(role)
            self.like = replace(self.like, alpha=None)
        return tuple(self._roles)


def prepare(work: Work, members: Sequence[Member], inputs: Inputs) -> tuple[str, ...]:
    """Put every input into the folder; the roles of what lies there.

    `work` then has its content and what the result is encoded like. Raises Unwanted for pictures that the rule does not
    want, TooManyPixels for a result beyond the limit, and the errors of reading and of the codec, which name the file
    if there are several.
    """
    alone, max_pixels = len(members) == 1, inputs.max_pixels
    files, digests = list[bytes](), list[str]()
    for member in members:
        with _naming(member, alone):
            data, digest = read_source(member.path, member.fingerprint, max_pixels)
        files.append(data)
        digests.append(digest)
    work.content = digests[0] if alone else hashlib.sha256("".join(digests).encode()).hexdigest()
    refuse_repeat(work)
    for member, data in zip(members, files, strict=True):
        with _naming(member, alone):
            when = work.rule.when if inputs.needs(member.role) else Conditions()
            inputs.put(member.role, decoded(data, max_pixels, when))
    roles = inputs.roles()
    work.decoded = inputs.like
    return roles


def _flat(mask: Decoded) -> Pixels:
    """A mask as it looks on white: what is transparent says as little as what is white."""
    if mask.alpha is None:
        return mask.pixels
    return np.where(mask.alpha[:, :, np.newaxis] < (OPAQUE + 1) // 2, np.uint8(OPAQUE), mask.pixels)


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
