"""The one error of files with weights."""

from __future__ import annotations


class WeightsRefused(ValueError):
    """A file cannot be used as weights. One line: which file, what is wrong with it; the remedy."""
