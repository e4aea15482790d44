"""How large batches are."""

from __future__ import annotations

CPU_BATCH_PIXELS = 1 << 17
"""A processor gains nothing from batches beyond its caches: two pictures of 256×256, or one large one. Measured on a
backlog of 256×256: in batches of a megapixel a study takes 11 % longer and `gaussian_blur` 27 %, a mosaic as long."""
GPU_BATCH_PIXELS = 64_000_000
"""A card wants its launches and copies spread over much work; not yet measured, see docs/devices.md."""
BYTES_PER_PIXEL, BATCHES_IN_FLIGHT = 9, 4
"""Of a batch, in the memory that `runtime.memory` bounds: one being decoded, one that waits, one that runs, one that
is encoded."""


def card_batch(memory: int) -> int:
    """Pixels of a batch for a card, where `memory` bytes bound what is in flight."""
    return max(CPU_BATCH_PIXELS, min(GPU_BATCH_PIXELS, memory // (BYTES_PER_PIXEL * BATCHES_IN_FLIGHT)))
