"""Single values of config.yaml that are written as text: durations, sizes, picture sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.unfit import UnfitError
from kernels.parameters import show

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
BYTES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
PIXELS = {"MP": 10**6, "GP": 10**9}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, such as `500ms`, from `low` to `high`, which are written the same way.

    `noun` and `example` are for messages. `bare` admits whole numbers without a unit; 0 needs none in any case.
    """

    noun: str
    units: Mapping[str, float]
    low: str | int
    high: str | int
    example: str
    bare: bool = False

    def parse(self, raw: object) -> float:
        """The value in seconds, bytes or pixels. Raises UnfitError."""
        value = self._number(raw)
        low, high = self._number(self.low), self._number(self.high)
        if value is None or low is None or high is None:
            raise UnfitError(f"{show(raw)} is not a {self.noun}", f"write {self.example}")
        if not low <= value <= high:
            raise UnfitError(f"{show(raw)} is out of range", f"{self.low} to {self.high} is possible")
        return value

    def parse_whole(self, raw: object) -> int:
        """The value as a whole number of bytes or pixels. Raises UnfitError."""
        return round(self.parse(raw))

    @property
    def pattern(self) -> str:
        """How it is written, as a regular expression. The digits are bounded, so that every match is finite."""
        return rf"([0-9]{{1,15}}(?:\.[0-9]{{1,9}})?) ?({'|'.join(self.units)})"

    @property
    def schema(self) -> dict[str, object]:
        """What JSON Schema can say about it. The bounds of text it cannot: they stand in words, in the comment."""
        text: dict[str, object] = {
            "type": "string",
            "pattern": f"^{self.pattern}$",
            "patternErrorMessage": f"This is not a {self.noun}: write {self.example}.",
        }
        words: dict[str, object] = {
            "examples": self.example.split(" or "),
            "$comment": f"`{self.low}` to `{self.high}`",
        }
        if self.bare:
            low, high = self.parse_whole(self.low), self.parse_whole(self.high)
            return {"anyOf": [text, {"type": "integer", "minimum": low, "maximum": high}], **words}
        return {"anyOf": [text, {"const": 0}], **words} if self.low == 0 else text | words

    def text(self, value: float) -> str:
        """A value, but not 0, in the largest unit that it is a whole number of: 300 seconds are `5m`."""
        counts = {unit: round(value / size, 9) for unit, size in self.units.items()}
        whole = {unit: round(count) for unit, count in counts.items() if count >= 1 and count == int(count)}
        unit = max(whole, key=self.units.__getitem__)
        return f"{whole[unit]}{unit}"

    def _number(self, raw: object) -> float | None:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw if self.bare or raw == 0 else None
        match = re.fullmatch(self.pattern, raw) if isinstance(raw, str) else None
        return float(match.group(1)) * self.units[match.group(2)] if match else None


def duration(low: str | int, high: str) -> Quantity:
    """A duration in seconds, written as `500ms`, `2s`, `5m` or `1h`."""
    return Quantity("duration", SECONDS, low, high, "500ms or 2s")


MEMORY = Quantity("size", BYTES, "16MiB", "16384GiB", "512MiB or 1GiB")
PICTURE_SIZE = Quantity("picture size", PIXELS, 1, "10GP", "200MP", bare=True)
