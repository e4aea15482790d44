"""The pictures of a style transfer: what is looked for, at the size at hand and in the colours asked for, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.backend import F, torch
from kernels.features.convention import VGG_MEAN
from kernels.picture import Picture
from kernels.resize import BLOCK, fitted, resized_rows
from kernels.sampling import cell_count
from kernels.strips import to_bytes
from kernels.style_color import luminance, matched_colors, matched_luminance, with_luminance

if TYPE_CHECKING:
    from torch import Tensor

STRIP = 64
"""Columns, then rows, that are resampled at a time."""
NOISE = 20.0
"""White noise reaches so many levels to either side of the mean of ImageNet's pictures, as in the article's program."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """`content` is uint8 H×W×3 at the size of the result, `style` uint8 h×w×3 at its own size; `color` one of COLORS.

    The picture sought is C×H×W levels: 3 of them, or 1 where luminance alone is sought.
    """

    content: Tensor
    style: Tensor
    color: str
    style_scale: float

    @property
    def channels(self) -> int:
        """Of the picture sought."""
        return channels_of(self.color)

    def content_at(self, height: int, width: int) -> Tensor:
        """The content at one size: float32 C×height×width levels."""
        levels = levels_at(self.content, height, width)
        return luminance(levels) if self.channels == 1 else levels

    def style_for(self, content: Tensor) -> Tensor:
        """The style picture with as many pixels as the content at hand, times style_scale squared; never enlarged."""
        _, rows, columns = content.shape
        levels = levels_at(self.style, *style_shape(self.style, self.style_scale, rows, columns))
        if self.channels == 1:
            return matched_luminance(luminance(levels), content)
        return matched_colors(levels, content) if self.color == "match" else levels

    def recolored(self, content: Tensor, style: Tensor, share: float) -> Tensor:
        """Levels of the content, the share of the way towards the colours of the style; grey ones have none."""
        if share == 0 or self.channels == 1:
            return content
        return (content + share * (matched_colors(content, style) - content)).clamp_(0, 255)

    def refined(self, x: Tensor, content: Tensor) -> Tensor:
        """What a coarser size has made of the picture, carried over to the content at this size: C×H×W levels.

        The change is enlarged, not the picture: the content's own detail, which no coarser size can have, is there
        from the first step on. It takes a tenth of the steps less to the same loss (docs/performance.md).
        """
        _, height, width = content.shape
        change = x - self.content_at(*x.shape[1:])
        return (content + enlarged(change, height, width, "bicubic")).clamp_(0, 255)

    def preview(self, x: Tensor) -> Tensor:
        """The result as it would be now, at its full size."""
        height, width, _ = self.content.shape
        return self.finished(enlarged(x, height, width, "bilinear"))

    def finished(self, x: Tensor) -> Tensor:
        """What was found as the picture asked for: uint8 H×W×3."""
        return with_luminance(self.content, x.clamp(0, 255)) if self.channels == 1 else to_bytes(x / 255)


def channels_of(color: str) -> int:
    """Of the picture sought: 3, or 1 where luminance alone is sought."""
    return 1 if color == "luminance" else 3


def shape_at(height: int, width: int, size: int | None) -> tuple[int, int]:
    """Height and width with `size` pixels on the longer side, the proportions kept; None: as they are."""
    if size is None:
        return height, width
    rows = size if height >= width else fitted(height, width, size)
    return rows, size if width >= height else fitted(width, height, size)


def style_shape(style: Tensor, scale: float, rows: int, columns: int) -> tuple[int, int]:
    """Height and width at which a style, uint8 h×w×3, is looked at beside rows×columns of the content."""
    height, width, _ = style.shape
    factor = min(1.0, scale * (rows * columns / (height * width)) ** 0.5)
    return max(1, round(height * factor)), max(1, round(width * factor))


def sized(picture: Tensor, rows: int, columns: int) -> Tensor:
    """uint8 h×w×3 as uint8 rows×columns×3."""
    if picture.shape[:2] == (rows, columns):
        return picture
    return _resampled(picture, rows, columns).bytes()[0].to(picture.device)


def levels_at(picture: Tensor, height: int, width: int) -> Tensor:
    """uint8 h×w×3 at another size: float32 3×height×width levels, by Lanczos, antialiased."""
    if picture.shape[:2] == (height, width):
        return picture.permute(2, 0, 1).float().contiguous()
    # Contiguous, as a checkpoint gives it back: the order of a sum hangs on it, and so does the last bit of a result.
    return _resampled(picture, height, width).levels()[0].contiguous().to(picture.device)


def _resampled(picture: Tensor, height: int, width: int) -> Picture:
    """`resized` in strips: of a style of 25 megapixels there are never more than some rows and columns as floats.

    On the processor, where the resampling makes its indices.
    """
    # Put in their places, not joined at the end: small results between large ones leave holes in the heap.
    turned = torch.empty(1, 3, picture.shape[1], height)
    for part in _strips(picture.shape[1]):
        rows = resized_rows(Picture(picture[:, part].cpu()[None]), height, cell_count(height, BLOCK))
        turned[:, :, part] = rows.transpose(2, 3)
    made = torch.empty(1, 3, height, width)
    for part in _strips(height):
        columns = resized_rows(Picture(turned[..., part]), width, cell_count(width, BLOCK))
        made[:, :, part] = columns.transpose(2, 3)
    return Picture(made)


def _strips(length: int) -> list[slice]:
    return [slice(start, start + STRIP) for start in range(0, length, STRIP)]


def enlarged(x: Tensor, height: int, width: int, mode: str) -> Tensor:
    """C×h×w levels at another size."""
    if x.shape[1:] == (height, width):
        return x
    return F.interpolate(x[None], (height, width), mode=mode, align_corners=False)[0]


def with_noise(content: Tensor, share: float, seed: int) -> Tensor:
    """3×H×W or 1×H×W levels mixed with white noise, uniform around the mean of ImageNet's pictures."""
    if share == 0:
        return content
    generator = torch.Generator().manual_seed(seed)
    mean = torch.tensor(VGG_MEAN)[:, None, None]
    middle = mean if len(content) == len(mean) else luminance(mean)
    noise = middle + NOISE * (2 * torch.rand(content.shape, generator=generator) - 1)
    return (1 - share) * content + share * noise.to(content.device)
