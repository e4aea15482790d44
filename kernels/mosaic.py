"""The mosaic: a picture reduced to one value per cell, those blurred a little, and enlarged again.

Source: seed 000 (mission S1). Sampled at cell centres, 5×5 binomial blur over the cells, nearest-neighbour enlargement.
"""

from __future__ import annotations

from kernels.binomial import binomial_blur
from kernels.picture import Picture
from kernels.pooling import cell_means, enlarged
from kernels.sampling import centres
from kernels.spec import Choice, Integer, operator


@operator(
    "mosaic",
    block=Integer(16, low=1, high=4096, unit="px", doc="side of a cell"),
    border=Choice("reflect", ("reflect", "zero"), doc="what lies beyond the rim; zero darkens it"),
    method=Choice("sample", ("sample", "average"), doc="a cell's value: its centre pixel, or the mean of its pixels"),
)
def mosaic(picture: Picture, *, block: int, border: str, method: str) -> Picture:
    """Large square cells with soft transitions; the size is kept.

    A cell that the rim cuts is represented by row min(block·i + ⌊block/2⌋, H − 1), or by the mean of what is left.
    """
    height, width = picture.height, picture.width
    if method == "sample":
        small = picture.take(centres(height, block), centres(width, block))
    else:
        small = cell_means(picture, block)
    return enlarged(Picture(binomial_blur(small.levels(), border)), block, height, width)
