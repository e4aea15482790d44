"""What is done to one picture at each stage. Functions of a Work; threads and order are `pipeline.py`'s."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from daemon.codec import decode, encode, format_of, probe
from daemon.errors import DarkroomError, TooManyPixels, TransientError
from daemon.intake.scan import fingerprint_of
from daemon.ledger import Measured, Move
from daemon.model import State
from daemon.pipeline.budget import ByteBudget
from daemon.pipeline.conditions import unfit_color, unfit_size
from daemon.pipeline.source import read_source
from daemon.pipeline.work import Work
from daemon.publishing import findings
from daemon.publishing.naming import fields_of
from daemon.publishing.outputs import discard, write_temporary
from daemon.publishing.placement import Encoded, Part
from kernels.chain import canonical
from kernels.measuring import finding

if TYPE_CHECKING:
    from daemon.runtime import Ran  # those who only look ahead load no ONNX Runtime: it takes 0.15 s

BYTES_PER_PIXEL = 9
"""Of a picture in flight: decoded, in its batch, and as the result, three bytes each."""


FILE_BYTES_PER_PIXEL, FILE_BYTES_BESIDE = 8, 64 << 20
"""The most a file has reason to hold: four channels of 16 bits, and metadata beside them."""


class Unwanted(DarkroomError):
    """The rule does not want this picture; the text is the reason it is skipped for.

    `repeats` is the job whose result stands, where there is nothing to be done for that reason.
    """

    kind = "skipped"

    def __init__(self, reason: str, repeats: int | None = None) -> None:
        super().__init__(reason)
        self.repeats = repeats


def begin(work: Work, max_pixels: int) -> None:
    """Read the source and its header, and decide whether the picture is wanted at all. Decodes nothing yet."""
    if work.data is None:
        _refuse_huge(work.job.fingerprint.size, max_pixels)
        work.data, work.content = read_source(work.job.path, work.job.fingerprint, max_pixels)
    refuse_repeat(work)
    work.header = probe(work.data, max_pixels)
    if reason := unfit_size(work.rule.when, work.header.width, work.header.height):
        raise Unwanted(reason)


def decode_source(work: Work, budget: ByteBudget) -> bool:
    """Decode, if the memory budget has room; False, with nothing changed, if it has not."""
    assert work.header is not None and work.data is not None
    cost = work.run_pixels * BYTES_PER_PIXEL
    if not budget.try_charge(cost):
        return False
    work.charged = cost
    try:
        work.decoded = decode(work.data, work.header)
    except MemoryError as error:
        raise TransientError(f"{work.job.path}: not enough memory for {work.pixels / 1e6:.0f} MP") from error
    work.data = None
    if reason := unfit_color(work.rule.when, work.decoded.pixels):
        raise Unwanted(reason)
    return True


def take_result(work: Work, ran: Ran, index: int) -> None:
    """Take over what a run gave for one picture of its batch. Raises Unwanted if its measurements say so."""
    assert work.decoded is not None
    work.device = ran.device
    work.result = work.decoded.pixels if ran.pictures is None else ran.pictures[index]
    if ran.measures:
        work.finding = finding(work.rule.chain, {name: rows[index].tolist() for name, rows in ran.measures.items()})
        if work.finding.unwanted:
            raise Unwanted(work.finding.unwanted)


def encode_result(work: Work) -> Encoded:
    """Encode a result and write it under a temporary name. Raises the errors of the codec and of the disk."""
    assert work.result is not None and work.decoded is not None
    if not work.rule.publishes:
        return Encoded(work.job, work.rule, "", (), _done(work, "measured"))
    height, width = work.result.shape[:2]
    target = target_of(work, width, height)
    metadata = work.decoded.metadata
    kind = format_of(os.path.splitext(target)[1]) or metadata.format
    data = encode(work.result, work.decoded.alpha, metadata, kind, work.rule.encode)
    parts = _written(target, work.job.id, {"": data, **_measured(work), **work.beside})
    return Encoded(work.job, work.rule, target, parts, _done(work, f"published: {width}×{height} {kind.value}"))


def _measured(work: Work) -> dict[str, bytes]:
    """The measurements, by the suffix of the file they go into."""
    if work.finding is None:
        return {}
    told = findings.as_json(work.job.relative, work.rule.name, work.rule.chain, work.finding.mse)
    return {findings.SUFFIX: told}


def _written(target: str, job: int, files: Mapping[str, bytes]) -> tuple[Part, ...]:
    """The files of a result, by suffix, each in a temporary file of its own: all of them or none."""
    parts = list[Part]()
    try:
        for suffix, data in files.items():
            parts.append(Part(*write_temporary(target, job, data, suffix), suffix))
    except DarkroomError:
        for part in parts:
            discard(part.temporary)
        raise
    return tuple(parts)


def target_of(work: Work, width: int = 0, height: int = 0) -> str:
    """Where the result goes, before `on_conflict` is asked. Raises OutputRefused."""
    return work.rule.output.render(fields_of(work.job, width, height))


def _done(work: Work, what: str) -> Move:
    words, measured = [what, f"on the {work.device}", *work.told], None
    if work.finding is not None:
        words.append(findings.in_words(work.finding.mse))
        measured = Measured(canonical(work.rule.chain), work.finding.mse)
    return Move(
        work.job.id,
        State.DONE,
        ", ".join(words),
        device=work.device,
        content=work.content,
        recipe=work.recipe.key,
        source_due=not work.rule.keeps_source,
        measured=measured,
        record=work.record,
    )


def _refuse_huge(size: int, max_pixels: int) -> None:
    """A file is read whole, so one that no picture of permitted size could fill must not be read at all."""
    if size > max_pixels * FILE_BYTES_PER_PIXEL + FILE_BYTES_BESIDE:
        raise TooManyPixels(
            f"the file has {size / 1e6:,.0f} MB, more than a picture of runtime.max_pixels ({max_pixels:,}) can need;"
            " raise runtime.max_pixels if it is one"
        )


def refuse_repeat(work: Work) -> None:
    """A file touched or copied over itself, whose output still stands, has nothing to be done for it."""
    earlier = work.earlier
    if earlier is None or (earlier.content, earlier.recipe) != (work.content, work.recipe.key):
        return
    try:
        stands = fingerprint_of(os.stat(earlier.output)) == earlier.fingerprint
    except OSError:
        return
    if stands:
        raise Unwanted(f"same content as job {earlier.job}, whose output stands: {earlier.output}", earlier.job)
