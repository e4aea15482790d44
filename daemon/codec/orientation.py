"""The eight EXIF orientations, as what must be done to the stored pixels to see them upright."""

from __future__ import annotations

from typing import cast

import cv2

from daemon.codec.values import Pixels


def swaps_sides(orientation: int) -> bool:
    """Whether this orientation, 1–8, exchanges width and height."""
    return orientation >= 5


def upright(samples: Pixels, orientation: int) -> Pixels:
    """Stored samples, H×W or H×W×3, as displayed; the same array where the orientation is 1."""
    match orientation:
        case 2:
            turned = cv2.flip(samples, 1)
        case 3:
            turned = cv2.rotate(samples, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(samples, 0)
        case 5:
            turned = cv2.transpose(samples)
        case 6:
            turned = cv2.rotate(samples, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(samples), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(samples, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return samples
    return cast(Pixels, turned)
