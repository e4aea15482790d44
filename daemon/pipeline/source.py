"""A source, read once: its bytes, and the proof that they are the version the job is about."""

from __future__ import annotations

import hashlib
import os

from daemon.errors import SourceChanged, StillWritten, TooManyPixels, TransientError, reading_failed
from daemon.intake.scan import being_written, fingerprint_of
from daemon.model import Fingerprint

BYTES_PER_PIXEL = 8
"""No sound picture darkroom reads has more bytes a pixel; a larger file is refused before it is read into memory."""


def read_source(path: str, fingerprint: Fingerprint, max_pixels: int) -> tuple[bytes, str]:
    """The bytes of a source and their SHA-256 in hex.

    Raises StillWritten while another program has it open for writing, SourceChanged when it is no longer the version
    the job was made for, SourceGone when it is not there, TransientError when it cannot be read, TooManyPixels when
    the file is larger than a picture of `max_pixels` could be.
    """
    if fingerprint.size > max_pixels * BYTES_PER_PIXEL + (1 << 20):
        size = f"{fingerprint.size / 1e9:.1f} GB"
        raise TooManyPixels(
            f"{size} is more than a picture of {max_pixels / 1e6:g} MP can have; see runtime.max_pixels"
        )
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if being_written(descriptor):
                raise StillWritten("another program still has it open for writing")
            data = file.readall()
            if fingerprint_of(os.fstat(descriptor)) != fingerprint:
                raise SourceChanged("its content was replaced before it was read; a newer job takes the new content")
    except OSError as error:
        raise reading_failed(error) from error
    except MemoryError as error:
        raise TransientError(f"not enough memory to read {fingerprint.size / 1e6:.0f} MB") from error
    return data, hashlib.sha256(data).hexdigest()
