"""The two losses of style transfer and their gradients at the features (Gatys, Ecker, Bethge, CVPR 2016, eq. 1–6).

Features of a layer are N×h×w, or F as N×M with M = h·w positions. Content: ½ Σ (F − P)². Style: with G = F·Fᵀ, and A
that of the style picture, Σ (G − A)² / (4·N²·M²). Where the two pictures have unequal M each Gram matrix is divided by
its own, which is the same where they are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.features.gram import by_position

if TYPE_CHECKING:
    from torch import Tensor


NOTHING = 1e-12
"""A sum of squares below this is a layer's that answers nothing anywhere."""


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """½ Σ (F − P)², a scalar."""
    return (features - target).square().sum() / 2


def content_gradient(features: Tensor, target: Tensor) -> Tensor:
    """Its gradient at F, as F: F − P."""
    return features - target


def style_loss(mean_gram: Tensor, target: Tensor) -> Tensor:
    """Σ (G/M − A/M)² / (4·N²), a scalar, from two Gram matrices each divided by its M."""
    return (mean_gram - target).square().sum() / (4 * target.shape[0] ** 2)


def style_gradient(features: Tensor, mean_gram: Tensor, target: Tensor, positions: int, weight: float = 1.0) -> Tensor:
    """Its gradient at F, as F, of N×h×w features: weight · (G/M − A/M)·F / (N²·M). `positions` is the Gram matrix's M.

    The features may be a part of those that the matrix was made of.
    """
    _, height, width = features.shape
    factor = (mean_gram - target) * (weight / (target.shape[0] ** 2 * positions))
    return (by_position(features) @ factor).view(height, width, -1).permute(2, 0, 1)


def variation(picture: Tensor) -> tuple[Tensor, Tensor]:
    """The mean squared difference of neighbours, C×H×W levels on the scale 0..1, and its gradient, as the picture."""
    down, across = picture[:, 1:] - picture[:, :-1], picture[:, :, 1:] - picture[:, :, :-1]
    scale = 255**2 * max(1, down.numel() + across.numel())
    gradient = picture.new_zeros(picture.shape)
    gradient[:, 1:] += down
    gradient[:, :-1] -= down
    gradient[:, :, 1:] += across
    gradient[:, :, :-1] -= across
    return (down.square().sum() + across.square().sum()) / scale, gradient.mul_(2 / scale)
