"""A convolution with the activation behind it, there and back. Loads torch: the networks import it when they are made.

PyTorch's own in-place `hardtanh_` keeps a copy of its input for the way back, though its result tells as much. What is
kept here is the result alone, which is also what the next convolution takes. With strided kernels that need no padding
and layers read as they lie in memory, 512×512 through efficientnet-lite0 there and back takes 100 ms instead of 157
(docs/performance.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def convolved(
    x: Tensor, weight: Tensor, bias: Tensor, *, stride: int = 1, groups: int = 1, ceiling: float | None = None
) -> Tensor:
    """1×C×h×w convolved with zeros around, then cut to 0..`ceiling` if there is one.

    `weight` is O×C/groups×k×k and fixed: no gradient goes there. An even k looks one row further behind a pixel than
    before it; see `widened`.
    """
    if ceiling is not None:
        cut: Tensor = _Cut.apply(x, weight, bias, stride, groups, ceiling)  # type: ignore[no-untyped-call]
        return cut
    return F.conv2d(x, weight, bias, stride, _padding(weight), 1, groups)


def widened(weight: Tensor) -> Tensor:
    """A kernel for stride 2 that has the zeros around a picture where TensorFlow's SAME has them for even sides.

    That is one row less before than after. PyTorch pads both ends alike, so a row and a column of zeros in front of the
    kernel take its place: at 96×256×256 that takes 2 ms where to pad the picture first takes 5.
    """
    return F.pad(weight, (1, 0, 1, 0))


def layout(weight: Tensor, device: torch.device) -> Tensor:
    """A weight where and as it is read fastest: channels last, measured 1.3 times as fast there and back."""
    return weight.to(device).contiguous(memory_format=torch.channels_last)


def _padding(weight: Tensor) -> int:
    return (weight.shape[2] - 1) // 2


class _Cut(torch.autograd.Function):
    """The two as one."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, groups: int, ceiling: float
    ) -> Tensor:
        answer = F.conv2d(x, weight, bias, stride, _padding(weight), 1, groups).clamp_(0, ceiling)
        context.save_for_backward(x, weight, answer)
        context.how = stride, groups, ceiling
        return answer

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Any:
        x, weight, answer = context.saved_tensors
        stride, groups, ceiling = context.how
        padding = _padding(weight)
        # By the result: it is 0 or the ceiling exactly where the activation is flat.
        slope = torch.ops.aten.hardtanh_backward(slope, answer, 0.0, ceiling)
        found, _, _ = torch.ops.aten.convolution_backward(
            slope, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, [True, False, False]
        )
        return found, None, None, None, None, None
