"""report.csv: one row per picture × series, in order, streamed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.spec import Series

HEADER = "picture,input,scale,mse,psnr\n"
_PICTURES_AT_ONCE = 500
_SPECIAL = re.compile(r'[",\r\n]')
_NAME = "\0"
"""Stands for the picture in a template; no file name can hold it."""


def csv_pieces(
    pictures: Sequence[str], series: Sequence[Series], mse: NDArray[np.float64], psnr: NDArray[np.float64]
) -> Iterator[bytes]:
    """The file in pieces of UTF-8; `mse` (0..1) and `psnr` (dB) are pictures × series.

    The rows of a picture are one format, filled by one %, since there are hundreds of thousands of them. Bytes of a
    name that are not UTF-8 are written as `\\udcNN`, so that one odd name does not make the file unreadable.
    """
    yield HEADER.encode()
    template = "".join(_row(each) for each in series)
    both = np.stack((mse, psnr), axis=-1).reshape(len(pictures), 2 * len(series))
    for start in range(0, len(pictures), _PICTURES_AT_ONCE):
        end = start + _PICTURES_AT_ONCE
        rows = [
            (template % tuple(numbers)).replace(_NAME, quoted(name))
            for name, numbers in zip(pictures[start:end], both[start:end].tolist(), strict=True)
        ]
        yield "".join(rows).encode(errors="backslashreplace")


def _row(series: Series) -> str:
    scale = "" if series.scale is None else series.scale
    return f"{_NAME},{quoted(series.input).replace('%', '%%')},{scale},%.9g,%.4f\n"


def quoted(text: str) -> str:
    """A field of a CSV file, in quotes where it needs them (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text
