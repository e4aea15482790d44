"""What was measured on one picture, for people and for programs: in words, as JSON, beside its output."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from kernels.chain import Chain, ChainError, describe, parse_chain
from kernels.measuring import decibels, series_of

SUFFIX = ".json"
"""Measurements of `photo.png` lie beside it as `photo.png.json`."""


def rows(chain: Chain, mse: Sequence[float]) -> list[dict[str, Any]]:
    """One row for each number: input, scale (None where nothing is pooled), mse on the scale 0..1, psnr in dB."""
    return [
        {"input": series.input, "scale": series.scale, "mse": value, "psnr": psnr_of(value)}
        for series, value in zip(series_of(chain), mse, strict=True)
    ]


def psnr_of(mse: float) -> float | str:
    """Decibels, rounded to a ten-thousandth; JSON has no infinity, so that is the word `inf`."""
    value = decibels(mse)
    return round(value, 4) if math.isfinite(value) else "inf"


def summary(chain: Chain, mse: Sequence[float]) -> dict[str, Any]:
    """All rows; and, where the chain has a `psnr` step, the last one's value by itself."""
    told = rows(chain, mse)
    plain = [row for row in told if row["scale"] is None]
    alone = {"psnr": plain[-1]["psnr"], "mse": plain[-1]["mse"]} if plain else {}
    return {**alone, "measurements": told}


def as_json(picture: str, rule: str, chain: Chain, mse: Sequence[float]) -> bytes:
    """The file that lies beside an output. `picture` is relative to its watched folder."""
    picture = picture.encode(errors="backslashreplace").decode()  # half a surrogate is no JSON to many parsers
    told = {"picture": picture, "rule": rule, "steps": describe(chain), **summary(chain, mse)}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def in_words(mse: Sequence[float]) -> str:
    """`PSNR 28.41 dB` for one number; how many they are for more."""
    if len(mse) > 1:
        return f"{len(mse)} numbers"
    return f"PSNR {_told(mse[0])} dB"


def lines(chain: Chain, mse: Sequence[float]) -> Iterator[str]:
    """A line for each input: `true: ∞ 24.61 20.77 dB at scales 1 2 4`."""
    by_input: dict[str, list[dict[str, Any]]] = {}
    for row in rows(chain, mse):
        by_input.setdefault(row["input"], []).append(row)
    for name, told in by_input.items():
        scales = " ".join(str(row["scale"]) for row in told if row["scale"] is not None)
        values = " ".join(_told(row["mse"]) for row in told)
        yield f"{name}: PSNR {values} dB" + (f" at scales {scales}" if scales else "")


def _told(mse: float) -> str:
    value = decibels(mse)
    return f"{value:.2f}" if math.isfinite(value) else "∞"


def chain_of(steps: str) -> Chain | None:
    """The chain of a measurement in the ledger; None where this version no longer has its steps."""
    try:
        return parse_chain(json.loads(steps))
    except ChainError:
        return None
