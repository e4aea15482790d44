"""Every format, there and back: a small picture is encoded, decoded and compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from daemon.codec import Format, Metadata, decode, encode, probe
from daemon.doctor.values import Finding, fault, ok
from daemon.model import EncodeOptions
from daemon.pip import install

AREA = "formats"
LOSSY = {Format.JPEG, Format.WEBP}
MOST_APART = 4.0  # mean difference in levels of a smooth picture at the default quality; 0.6 was measured
REINSTALL = install("--force-reinstall opencv-python-headless simplejpeg pillow")


def examine() -> Iterator[Finding]:
    """One finding a format."""
    for kind in Format:
        try:
            reason = _there_and_back(kind)
        except Exception as error:  # noqa: BLE001 - a library that is broken raises what it likes
            reason = f"{type(error).__name__}: {error}"
        told = "encoded and decoded"
        yield fault(AREA, kind, reason, REINSTALL) if reason else ok(AREA, kind, told)


def _there_and_back(kind: Format) -> str:
    rows, columns = np.mgrid[0:48, 0:64]
    picture = np.stack([rows * 5, columns * 4, 255 - rows * 2 - columns], axis=-1).astype(np.uint8)
    data = encode(picture, None, Metadata(kind), kind, EncodeOptions())
    result = decode(data, probe(data, picture.size)).pixels
    if result.shape != picture.shape:
        return f"a picture of {picture.shape[1]}×{picture.shape[0]} came back as {result.shape[1]}×{result.shape[0]}"
    apart = float(np.abs(result.astype(np.int16) - picture).mean())
    return f"a picture came back {apart:.1f} levels off" if apart > MOST_APART * (kind in LOSSY) else ""
