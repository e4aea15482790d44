"""Pictures as they are seen from a distance: averaged in light, and five distances side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.strips import to_bytes

if TYPE_CHECKING:
    from torch import Tensor

DISTANCES = (1, 2, 4, 8, 16)
GROUND = 119  # level of the ground they stand on: 18 % of white's light, a photographer's neutral grey
ROWS = 256  # rows turned into light together: 24 MB of work for 8000 columns


def from_afar(picture: Tensor, scale: int, gamma: float) -> Tensor:
    """uint8 H×W×3 `picture` as seen `scale` times as far away: float32 3×⌈H/scale⌉×⌈W/scale⌉ on the scale 0..1.

    Each cell of scale × scale pixels becomes the mean of its light, level^gamma; one that is cut by the rim, the mean
    of the pixels it has.
    """
    light = (torch.arange(256, device=picture.device) / 255) ** gamma
    block = max(1, ROWS // scale) * scale
    parts = [light[rows.int()].permute(2, 0, 1)[None] for rows in torch.split(picture, block)]
    pooled = [F.avg_pool2d(part, scale, ceil_mode=True)[0] for part in parts]
    return torch.cat(pooled, 1) ** (1 / gamma)


def distances_picture(picture: Tensor, gamma: float) -> Tensor:
    """uint8 H×W×3: the picture at full size and as from 2, 4, 8 and 16 times as far, side by side, on one base line."""
    views = [picture, *(to_bytes(from_afar(picture, scale, gamma)) for scale in DISTANCES[1:])]
    gap = max(2, picture.shape[1] // 32)
    height = picture.shape[0] + 2 * gap
    width = sum(view.shape[1] + gap for view in views) + gap
    sheet, left = torch.full((height, width, 3), GROUND, dtype=torch.uint8, device=picture.device), gap
    for view in views:
        sheet[height - gap - view.shape[0] : height - gap, left : left + view.shape[1]] = view
        left += view.shape[1] + gap
    return sheet
