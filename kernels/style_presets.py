"""The presets of style transfer: what every setting is that a user leaves out. Torch-free.

Strengths do not carry between conventions, so each preset has its own (kernels/style_objective.py says what they mean).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kernels.features.kinds import KINDS, VGG19, Weighting

CONVENTIONS = ("relative", "paper", "seed")
OPTIMIZERS = ("auto", "lbfgs", "adam")


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides a result. Layers None: those of the network. `sizes` None: as many as the picture allows.

    `iterations` are made at the last size, half as many at each before. `learning_rate` is Adam's, in levels of 0..255.
    """

    strength: float
    convention: str
    palette: float
    noise: float
    iterations: int
    sizes: int | None
    optimizer: str
    learning_rate: float
    total_variation: float
    content_layers: Weighting | None = None
    style_layers: Weighting | None = None


PAINTING = Settings(
    strength=1000, convention="relative", palette=1, noise=0, iterations=50, sizes=None, optimizer="auto",
    learning_rate=4, total_variation=20,
)  # fmt: skip
PHOTO = replace(PAINTING, strength=3000, total_variation=50)
# As the article's text has it for the photographs; its notebook has a run with noise 0.7 and strength 500.
SEED = Settings(
    strength=100, convention="seed", palette=0, noise=0.5, iterations=5000, sizes=1, optimizer="adam", learning_rate=2,
    total_variation=0,
)  # fmt: skip
PRESETS = {"painting": PAINTING, "photo": PHOTO, "seed": SEED}


def settings(preset: str, network: str, given: Mapping[str, Any]) -> Settings:
    """A preset with what is given in the place of its own, for a network.

    Conventions of raw features mean something for VGG-19 alone: with another network they become `relative`, unless
    the user insists, and so does the preset's strength.
    """
    base = PRESETS[preset]
    if network != VGG19 and "convention" not in given and base.convention != "relative":
        base = replace(base, convention=PAINTING.convention, strength=PAINTING.strength)
    kind = KINDS[network]
    chosen = replace(base, **given)
    return replace(
        chosen,
        content_layers=chosen.content_layers or kind.content,
        style_layers=chosen.style_layers or kind.style,
    )
