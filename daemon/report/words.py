"""What the numbers mean, in words computed from them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from daemon.model import State
from daemon.report.grid import MOSAIC_SCALE
from daemon.report.summary import Summary
from daemon.report.values import Study

TASKS = {"true": "reconstruction", "gray": "colourisation", "mosaic": "mosaic removal"}
"""What a U-Net learns that is given each input and has to give the true picture."""

_FLAT = 0.5  # dB; a mean that moves by less is called flat


def db(value: float) -> str:
    """Decibels for people: two decimals, ∞ for identical pictures, a dash where nothing was measured."""
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:.2f}"


def listed(items: Sequence[object]) -> str:
    """`1`, `1 and 2`, `1, 2 and 4`."""
    words = [str(item) for item in items]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def several(number: int, noun: str) -> str:
    """`1 picture`, `12,000 pictures`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cells_of(size: int, scale: int) -> str:
    """The resolution of a level in pixels: `32×32`."""
    side = -(-size // scale)
    return f"{side}×{side}"


# -- how complete it is ----------------------------------------------------------------------------------------------


def headline(study: Study) -> str:
    """What was measured, in a line."""
    if not study.pictures:
        return "Nothing measured yet"
    what = "Pool-upsample PSNR" if any(each.scale is not None for each in study.series) else "PSNR"
    return f"{what} of {several(len(study.pictures), 'picture')}"


def progress(study: Study) -> str:
    """How complete it is, in a sentence."""
    coming = study.counts.get(State.WAITING, 0) + study.counts.get(State.RUNNING, 0)
    if coming:
        left = "is" if coming == 1 else "are"
        return f"In progress: {several(coming, 'picture')} {left} still to be measured. Reload for newer numbers."
    return "Complete: no picture is waiting." if study.pictures else "No picture has arrived yet."


def share_finished(study: Study) -> float:
    """The share of the rule's jobs that have ended, 0..1."""
    total = sum(study.counts.values())
    coming = study.counts.get(State.WAITING, 0) + study.counts.get(State.RUNNING, 0)
    return 1 - coming / total if total else 1.0


# -- what stands out -------------------------------------------------------------------------------------------------


def findings(levels: Mapping[str, Mapping[int, Summary]]) -> list[str]:
    """What the curves of `levels` (input, then scale) do, a sentence each; none where they are too short to tell."""
    curves = {
        name: {scale: each.mean for scale, each in of.items() if math.isfinite(each.mean)}
        for name, of in levels.items()
    }
    found = [_fall(curves.get("true", {})), _gap(curves), _flatness(curves.get("mosaic", {}))]
    return [sentence for sentence in found if sentence]


def _fall(true: Mapping[int, float]) -> str | None:
    if len(true) < 2:
        return None
    first, last = min(true), max(true)
    each = (true[first] - true[last]) / math.log2(last / first)
    return (
        f"True falls from {true[first]:.2f} dB at scale {first} to {true[last]:.2f} dB at scale {last}:"
        f" {each:.2f} dB for every doubling of the scale."
    )


def _gap(curves: Mapping[str, Mapping[int, float]]) -> str | None:
    """Gray against true: what colour is worth at each scale."""
    true, gray = curves.get("true", {}), curves.get("gray", {})
    scales = sorted(true.keys() & gray.keys())
    if len(scales) < 2:
        return None
    first, last = scales[0], scales[-1]
    before, after = true[first] - gray[first], true[last] - gray[last]
    meaning = ": the coarser the level, the less colour matters" if 0 <= after < before / 2 else ""
    return (
        f"Gray lies {before:.2f} dB below true at scale {first} and {after:.2f} dB below it at scale {last}{meaning}."
    )


def _flatness(mosaic: Mapping[int, float]) -> str | None:
    """Up to which scale the mosaic does not notice that it is pooled."""
    scales = sorted(mosaic)
    if len(scales) < 2:
        return None
    flat = [scale for scale in scales if abs(mosaic[scale] - mosaic[scales[0]]) <= _FLAT]
    reach = max(scale for scale in flat if all(other in flat for other in scales if other <= scale))
    if reach == scales[0]:
        return None
    text = f"Mosaic hardly changes up to scale {reach} ({mosaic[scales[0]]:.2f} to {mosaic[reach]:.2f} dB)"
    beyond = scales[scales.index(reach) + 1 :]
    if not beyond:
        return f"{text}."
    reason = ", the size of its own cells" if reach == MOSAIC_SCALE else ""
    turn = "falls" if mosaic[beyond[0]] < mosaic[reach] else "rises"
    return f"{text}{reason}; at scale {beyond[0]} it {turn} to {mosaic[beyond[0]]:.2f} dB."


# -- what it means for a U-Net ---------------------------------------------------------------------------------------


def threshold(summary: Summary) -> float:
    """The PSNR up to which copying explains an output: the mean as it is shown, so that words and table agree."""
    return round(summary.mean, 2)


def explained(levels: Mapping[int, Summary], p: float) -> list[int]:
    """The scales whose skip connections alone could give an output of `p` dB."""
    return sorted(scale for scale, each in levels.items() if p <= threshold(each))


def verdict(levels: Mapping[int, Summary], able: Collection[int], size: int) -> str:
    """What it means that copying suffices at the scales `able`, and only there."""
    scales = sorted(levels)
    if not able:
        return "At no scale does copying give this much: deeper features must contribute at every level."
    size_there = cells_of(size, max(able))
    down = f", down to {size_there} px" if len(able) > 1 else f" ({size_there} px)"
    enough = f"Copying suffices at {_scales(sorted(able))}{down}"
    deeper = [scale for scale in scales if scale not in able]
    if not deeper:
        return f"{enough}: nothing here shows that any deeper feature is used."
    return f"{enough}. At {_scales(deeper)} it does not: there, deeper features must contribute."


def _scales(scales: Sequence[int]) -> str:
    return f"scale{'s' if len(scales) > 1 else ''} {listed(scales)}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What holds for every p up to `limit` dB and above the limit before; None: above all of them."""

    limit: float | None
    text: str


def outcomes(levels: Mapping[int, Summary], size: int) -> list[Outcome]:
    """Every verdict there is for one input, by ascending limit: the page picks one of them as the reader types p."""
    limits = sorted({threshold(each) for each in levels.values() if not math.isnan(each.mean)})
    made = [
        Outcome(None if math.isinf(limit) else limit, verdict(levels, explained(levels, limit), size))
        for limit in limits
    ]
    if not limits or not math.isinf(limits[-1]):
        made.append(Outcome(None, verdict(levels, (), size)))
    return made
