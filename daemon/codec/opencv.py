"""OpenCV's decoders and encoders, with their failures in darkroom's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from daemon.codec.values import Pixels, damaged
from daemon.errors import OutputRefused

# One picture per thread of the pool is the parallelism; OpenCV's own threads would fight over the same cores.
cv2.setNumThreads(1)
# A damaged picture is reported once, by its job; not also on stderr.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(data: bytes, flags: int) -> Pixels:
    """Decode with cv2.IMREAD_ flags: uint8 H×W, H×W×3 or H×W×4.

    Raises:
        BrokenPicture: OpenCV refuses the data.
    """
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise damaged("its data makes no sense")
    return cast(Pixels, decoded)


def encode(extension: str, samples: Pixels, alpha: Pixels | None, options: Sequence[int] = ()) -> bytes:
    """Encode H×W gray (without alpha) or H×W×3 RGB samples, and alpha, as the format of `extension`.

    Raises:
        OutputRefused: OpenCV cannot.
    """
    try:
        done, encoded = cv2.imencode(extension, _channels(samples, alpha), options)
    except cv2.error:
        done = False
    if not done:
        height, width = samples.shape[:2]
        raise OutputRefused(f"{width} × {height} pixels do not fit a {extension} file; make the picture smaller")
    return encoded.tobytes()


def _channels(samples: Pixels, alpha: Pixels | None) -> Pixels:
    """In OpenCV's order: gray, BGR or BGRA."""
    if samples.ndim == 2:
        return samples
    if alpha is None:
        return cast(Pixels, cv2.cvtColor(samples, cv2.COLOR_RGB2BGR))
    bgra = np.empty((*alpha.shape, 4), np.uint8)
    cv2.mixChannels([samples, alpha], [bgra], [0, 2, 1, 1, 2, 0, 3, 3])
    return bgra
