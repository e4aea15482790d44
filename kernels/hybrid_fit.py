"""The far picture of a hybrid brought to the size of the near one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.picture import Picture
from kernels.resize import fitted, resized

if TYPE_CHECKING:
    from torch import Tensor

FITS = ("crop", "letterbox")


def fit_far(far: Tensor, near: Tensor, fit: str) -> Tensor:
    """`far` at the size of `near`, both uint8 H×W×3: Lanczos, antialiased, its proportions kept to a pixel.

    "crop" covers all of it, and what hangs over is cut off evenly; "letterbox" shows all of `far`, and where it does
    not reach the near picture itself stands: there the hybrid is that, at every distance.
    """
    if far.shape == near.shape:
        return far
    height, width, _ = near.shape
    return _cropped(far, height, width) if fit == "crop" else _letterboxed(far, near)


def _cropped(far: Tensor, height: int, width: int) -> Tensor:
    # Cut first: what is cut off need not be resized.
    rows, columns, _ = far.shape
    kept_rows = min(rows, fitted(height, width, columns))
    kept_columns = min(columns, fitted(width, height, rows))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return _resized(far[top : top + kept_rows, left : left + kept_columns], height, width)


def _letterboxed(far: Tensor, near: Tensor) -> Tensor:
    height, width, _ = near.shape
    rows, columns, _ = far.shape
    inner_height = min(height, fitted(rows, columns, width))
    inner_width = min(width, fitted(columns, rows, height))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    boxed = near.clone()
    boxed[top : top + inner_height, left : left + inner_width] = _resized(far, inner_height, inner_width)
    return boxed


def _resized(picture: Tensor, height: int, width: int) -> Tensor:
    # On the processor, where the resampling makes its indices; it is done once.
    return resized(Picture(picture.cpu()[None]), height, width).bytes()[0].to(picture.device)
